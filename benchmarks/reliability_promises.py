"""What is promised, and the tests that prove it; ``reliability_page.py`` makes a page of it."""

from __future__ import annotations

from typing import NamedTuple


class Promise(NamedTuple):
    """One sentence, the tests without which it would be a wish, and a figure.

    Attributes:
        says: What is promised.
        tests: ``file::test``, below ``tests/``.
        figure: A key of ``reliability_page.FIGURES``, or nothing.
    """

    says: str
    tests: tuple[str, ...]
    figure: str = ""


def promise(says: str, *tests: str, figure: str = "") -> Promise:
    """Makes a promise in one line."""
    return Promise(says, tests, figure)


SURVIVAL, STRANGE = "test_survival.py", "downloads/test_strange_downloads.py"
NO_CODE, MODELS, ARCHIVES = "test_no_code_in_files.py", "test_model_files.py", "test_archives.py"
SAFE, FETCHING, CACHE = "test_safefile.py", "downloads/test_fetching.py", "downloads/test_cache.py"
LEAKAGE, WORKERS, SAME = "test_leakage.py", "test_workers.py", "test_predictions.py"

PROMISES: dict[str, list[Promise]] = {
    "Training survives": [
        promise(
            "A fit with `checkpoint_dir=` that is killed at any moment and started again ends with "
            "the weights of one that was not, bit for bit on one thread.",
            "benchmarks/test_kills.py::test_a_fit_killed_three_times_ends_with_the_same_bytes",
            figure="kills",
        ),
        promise(
            "With two threads the first ten steps after resuming agree to 1e-6.",
            f"{SURVIVAL}::test_with_two_threads_ten_steps_after_resuming_agree",
        ),
        promise(
            "Two checkpoints are kept; a damaged newest one gives way to the one before, and that "
            "is said.",
            f"{SURVIVAL}::test_the_last_two_checkpoints_are_kept",
            f"{SURVIVAL}::test_a_damaged_newest_checkpoint_gives_way_to_the_one_before",
            f"{SURVIVAL}::test_without_a_checkpoint_that_can_be_read_nothing_starts_afresh",
        ),
        promise(
            "So does a fit with `pretrain` or `unlabeled`, which trains twice, in whichever of the "
            "two it was killed.",
            f"{SURVIVAL}::test_pretraining_goes_on_too",
            "test_unlabeled.py::test_a_fit_that_died_goes_on_to_the_same_weights",
        ),
        promise(
            "A checkpoint that is whole, but lacks a part or is of another network, is refused "
            "before training.",
            f"{SURVIVAL}::test_a_whole_checkpoint_with_the_wrong_content_is_refused",
        ),
        promise(
            "Ctrl-C finishes the step, saves, and returns a fitted classifier; twice interrupts.",
            f"{SURVIVAL}::test_ctrl_c_stops_after_the_step_and_the_fit_goes_on_from_there",
            f"{SURVIVAL}::test_ctrl_c_twice_interrupts_at_once",
            f"{SURVIVAL}::test_whoever_handles_ctrl_c_still_does",
        ),
        promise(
            "A full disk, or a folder that is removed or becomes a file, costs no training.",
            f"{SURVIVAL}::test_a_full_disk_is_told_and_training_goes_on",
            f"{SURVIVAL}::test_ctrl_c_on_a_full_disk_still_leaves_a_model",
            f"{SURVIVAL}::test_a_folder_removed_meanwhile_is_made_again_and_told",
            f"{SURVIVAL}::test_a_folder_that_became_a_file_costs_no_training",
        ),
        promise(
            "A folder that cannot be written is refused before training.",
            f"{SURVIVAL}::test_a_read_only_folder_is_refused_before_training",
            f"{SURVIVAL}::test_a_folder_that_cannot_be_is_refused_before_training",
        ),
        promise(
            "Out of device memory, the error names the batch size and what to set, and what was "
            "learned stays.",
            f"{SURVIVAL}::test_a_device_without_memory_for_a_batch_says_what_to_set",
            f"{SURVIVAL}::test_a_device_out_of_memory_later_leaves_what_was_learned",
        ),
        promise(
            "A loss that is no number stops training, names its step, and brings the best weights "
            "back.",
            f"{SURVIVAL}::test_a_loss_that_is_no_number_names_its_step_and_the_best_weights_return",
            f"{SURVIVAL}::test_weights_that_are_no_numbers_never_reach_a_checkpoint",
        ),
        promise(
            "The same seed gives the same model, from memory, h5ad and zarr.",
            "test_classifier.py::test_same_seed_same_model_and_other_seed_another",
            "test_cells_on_disk.py::test_the_same_seed_gives_the_same_model_from_h5ad_and_zarr",
            "test_checkpoint_io.py::test_resumed_training_equals_training_in_one_go",
        ),
        promise(
            "A model that was saved and loaded gives the same probabilities, and fitted again the "
            "same model.",
            "test_classifier.py::test_save_and_load_give_the_same_probabilities",
        ),
        promise(
            "`deterministic=True` asks torch for deterministic algorithms while a fit lasts, and "
            "only then.",
            f"{SURVIVAL}::test_deterministic_algorithms_are_asked_for_while_training_only",
        ),
    ],
    "Files from strangers": [
        promise(
            "No line of the package can run what a file says, and loading, predicting and resuming "
            "never unpickle.",
            f"{NO_CODE}::test_no_line_of_the_package_can_run_what_a_file_says",
            f"{NO_CODE}::test_load_predict_and_resume_never_unpickle",
            f"{SAFE}::test_reading_never_unpickles",
        ),
        promise(
            "Whatever a file holds, readers answer with what it says or a documented error, within "
            "a second and bounded memory.",
            "benchmarks/test_fuzz.py::test_a_thousand_inputs_find_nothing_in_any_reader",
            "test_any_input.py::test_any_content_is_read_or_refused_with_a_known_error",
            figure="fuzz",
        ),
        promise(
            "Sizes are checked before memory is taken; parts, shapes and formats that disagree are "
            "errors.",
            f"{MODELS}::test_parts_that_disagree_are_an_error_before_the_network_is_made",
            f"{MODELS}::test_a_file_of_another_length_than_it_declares_is_not_read_to_its_end",
            f"{MODELS}::test_an_array_that_declares_what_is_not_there_is_damage",
        ),
        promise(
            "Cells in a file whose values, places and row starts do not fit together are refused, "
            "read whole or block by block.",
            "test_damaged_cells.py::test_parts_that_do_not_fit_are_refused",
        ),
        promise(
            "Every flipped bit and every truncation of a model file is noticed.",
            f"{SAFE}::test_every_flipped_bit_is_noticed",
            f"{SAFE}::test_every_truncation_is_noticed",
        ),
        promise(
            "A file of a newer format says so.",
            f"{MODELS}::test_a_file_of_another_format_says_so",
            f"{SAFE}::test_another_kind_or_format_is_refused",
        ),
        promise(
            "Archives that unpack without end are refused, and so are members that point outside.",
            f"{ARCHIVES}::test_a_gzip_bomb_is_refused",
            f"{ARCHIVES}::test_a_zip_that_declares_a_bomb_is_refused_before_it_is_unpacked",
            f"{ARCHIVES}::test_a_zip_with_a_member_that_points_outside_is_refused",
            f"{ARCHIVES}::test_a_zip_with_a_symbolic_link_is_refused",
        ),
        promise(
            "What is written takes its place whole or not at all; links are replaced, not "
            "followed.",
            "test_files.py::test_a_link_in_the_place_of_a_file_is_replaced",
            "test_files.py::test_a_draft_that_fails_leaves_the_old_file_and_nothing_else",
            f"{SAFE}::test_the_content_is_on_disk_before_the_name_moves",
        ),
        promise(
            "The command line refuses cells whose file points at other files.",
            "test_own_bytes.py::test_values_in_another_file_are_refused",
            "test_own_bytes.py::test_a_link_into_another_file_is_refused",
            "test_own_bytes.py::test_the_command_line_asks",
        ),
        promise(
            "In a report, names from a file stay text, and nothing is asked of another place.",
            "test_report_in_browser.py::test_it_fits_the_width_loads_quietly_and_asks_for_nothing",
        ),
    ],
    "Downloads": [
        promise(
            "Certificates are checked, only HTTPS is spoken, and only known hosts are redirected "
            "to.",
            "downloads/test_tls.py::test_a_certificate_of_no_known_authority_is_refused",
            "downloads/test_tls.py::test_a_redirect_out_of_tls_is_refused",
            f"{FETCHING}::test_a_bad_answer_is_one_error_and_leaves_nothing",
        ),
        promise(
            "A server that falls silent, or sends less than 64 KiB in a minute, is given up.",
            f"{FETCHING}::test_a_bad_answer_is_one_error_and_leaves_nothing",
        ),
        promise(
            "Interrupted, truncated, swapped and HTML answers never reach the cache.",
            f"{FETCHING}::test_a_bad_answer_is_one_error_and_leaves_nothing",
            f"{STRANGE}::test_another_file_than_was_asked_for_never_reaches_the_cache",
            f"{STRANGE}::test_a_bomb_never_reaches_the_cache",
            f"{STRANGE}::test_what_is_left_of_an_interrupted_download_is_not_built_upon",
        ),
        promise(
            "The hash of the first download is recorded, and later uses are held against it.",
            f"{FETCHING}::test_the_record_beside_a_file_holds_the_hash_of_its_bytes",
            f"{CACHE}::test_a_file_that_changed_at_the_publisher_is_refused_until_the_record_is_deleted",
        ),
        promise(
            "Two processes that fetch one file at once both succeed.",
            "downloads/test_processes_fetching.py::"
            "test_two_processes_that_fetch_one_file_at_once_both_succeed",
        ),
        promise(
            "A damaged file in the cache is fetched again, and that is said.",
            f"{CACHE}::test_a_damaged_file_is_fetched_again_and_it_is_said",
        ),
        promise(
            "No other part of the package imports what opens a connection.",
            "test_layout.py::test_only_downloads_can_open_connections",
        ),
    ],
    "Numbers stay true": [
        promise(
            "Each kernel agrees with its float64 definition, values and gradients, on inputs made "
            "to break it; what is finite gives no NaN.",
            "nn/test_adversarial.py::test_values_and_gradients_are_those_of_the_definition",
        ),
        promise(
            "A prediction depends neither on order and company of the cells nor on the batch size "
            "(to 1e-6).",
            f"{SAME}::test_neither_order_nor_company_nor_batch_size_matters",
        ),
        promise(
            "A prediction does not depend on the number of threads (to 1e-6).",
            f"{SAME}::test_the_number_of_threads_does_not_matter",
        ),
        promise(
            "It does not depend on how and where cells are stored: CSR, CSC, dense, h5ad, zarr, "
            "backed or in memory (the same bits).",
            f"{SAME}::test_how_cells_are_held_in_memory_does_not_matter",
            f"{SAME}::test_the_file_does_not_matter",
        ),
    ],
    "Leakage": [
        promise(
            "Cells that are not handed to `fit` change no byte of the model.",
            f"{LEAKAGE}::test_cells_not_handed_to_fit_change_no_byte_of_the_model",
        ),
        promise(
            "Validation cells decide when to stop and the temperature, and nothing else.",
            f"{LEAKAGE}::test_validation_cells_change_no_byte_but_when_to_stop",
        ),
        promise(
            "Without a graph, a head learns nothing from the labels that it is kept from.",
            f"{LEAKAGE}::test_a_head_learns_nothing_from_the_labels_it_is_kept_from",
        ),
        promise(
            "With `unlabeled`, what a head is to learn of a cell without label comes from no label "
            "that the head is kept from, but for a few numbers that all heads share (named in "
            "docs/few_labels.md).",
            "test_unlabeled.py::test_heads_are_told_nothing_by_the_labels_they_are_kept_from",
        ),
        promise(
            "No method that is compared learns from test cells.",
            "benchmarks/test_accuracy.py::test_no_method_learns_from_test_cells",
        ),
    ],
    "Load": [
        promise(
            "Hundreds of fits and thousands of predictions in one process leave memory flat, and "
            "no thread or file behind.",
            "benchmarks/test_soak.py::"
            "test_two_fits_and_two_hundred_predictions_leave_nothing_behind",
            figure="soak",
        ),
        promise(
            "A million cells are named from a file within 1,024 MiB.",
            "benchmarks/test_predict_million.py::test_ten_thousand_cells",
            figure="million",
        ),
        promise(
            "Eight threads, spawned workers and forked ones agree with the plain call.",
            f"{WORKERS}::test_eight_threads_agree_with_the_plain_call",
            f"{WORKERS}::test_spawned_workers_agree_with_the_plain_call",
            f"{WORKERS}::test_a_forked_worker_agrees_with_the_plain_call_and_can_fit",
        ),
    ],
    "Supply": [
        promise(
            "Every dependency, of all extras, and what they need in turn is pinned.",
            "test_pins.py::test_every_dependency_and_extra_is_pinned_and_what_they_need_too",
        ),
        promise(
            "A script for every week says which pins are missing, withdrawn, vulnerable or old; "
            "what could not be looked up is not called safe.",
            "test_pins.py::test_a_missing_pin_fails_the_check",
            "test_pins.py::test_newer_versions_are_told_and_withdrawn_ones_fail",
            "test_pins.py::test_known_vulnerabilities_fail_the_check",
            "test_pins.py::test_vulnerabilities_that_nobody_looked_up_are_not_called_absent",
        ),
        promise(
            "The wheel is complete, holds nothing else, and is imported from where it was put.",
            "test_wheel.py::test_the_wheel_holds_the_package_its_data_and_its_licence_and_nothing_else",
            "test_wheel.py::test_the_wheel_is_imported_from_where_it_is_installed",
            "test_wheel.py::test_an_editable_install_is_found_beside_what_an_earlier_install_left_"
            "behind",
        ),
        promise(
            "Its metadata claim the interpreter that the tests ran on, and no other.",
            "test_wheel.py::test_metadata_claims_the_interpreter_that_runs_these_tests_and_no_other",
        ),
    ],
}

NOT_SHOWN = [
    "Anything on CUDA. Sums by atomic additions there depend on the order in which they happen.",
    "Values beyond 1e18 in the layers themselves (the classifier refuses them): at 1e30 single "
    "precision overflows, and dense attention gives NaN.",
    "With a graph, the strength of the prior is learned by all heads together, so that the labels "
    "of cells which a head is kept from reach it through one number (at most 3.5e-4 in probability "
    "in the one case measured).",
    "h5ad and zarr below AnnData: their bytes are the affair of HDF5 and of zarr.",
    "Other interpreters than Python 3.11, and other systems than Linux.",
]
