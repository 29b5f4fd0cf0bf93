import sys

import pytest

from genegraph.pl import confusion

TRUE = ["B", "B", "NK", "NK", "NK", "T"]
GUESS = ["B", "NK", "NK", "NK", "B", "T"]


def fields(ax):
    """Text of every filled field by (row, column)."""
    return {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in ax.texts[:-1]}


def y_names(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_rows_give_percent_of_the_true_type():
    ax = confusion(TRUE, GUESS)
    expected = {(0, 0): "50", (0, 1): "50", (1, 0): "33", (1, 1): "67", (2, 2): "100"}
    assert fields(ax) == expected
    assert y_names(ax) == ["B (2)", "NK (3)", "T (1)"]
    assert ax.get_title(loc="left") == "66.7% of 6 cells labelled right"


def test_counts_are_given_when_not_normalized():
    ax = confusion(TRUE, GUESS, normalize=False)
    assert fields(ax) == {(0, 0): "1", (0, 1): "1", (1, 0): "1", (1, 1): "2", (2, 2): "1"}


def test_a_share_below_half_a_percent_is_not_shown_as_zero():
    ax = confusion(["B"] * 300, ["B"] * 299 + ["T"])
    assert fields(ax) == {(0, 0): "100", (0, 1): "<1"}


def test_classes_set_the_order_and_may_be_empty():
    ax = confusion(TRUE, GUESS, ["T", "NK", "B", "Mast"])
    assert y_names(ax) == ["T (1)", "NK (3)", "B (2)", "Mast (0)"]
    assert fields(ax)[0, 0] == "100"


def test_it_draws_on_the_axes_it_is_given():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert confusion(TRUE, GUESS, ax=ax) is ax


def test_pyplot_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    confusion(TRUE, GUESS)


@pytest.mark.parametrize("num_types", [2, 25])
def test_long_names_are_not_clipped(num_types):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    names = [f"CD8+/CD45RA+ Naive Cytotoxic, number {i}" for i in range(num_types)]
    ax = confusion(names, names)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    inked = ax.get_tightbbox(canvas.get_renderer())
    page = ax.figure.bbox
    assert inked.x0 >= page.x0
    assert inked.y0 >= page.y0
    assert inked.x1 <= page.x1
    assert inked.y1 <= page.y1
    assert inked.width > 0.7 * page.width  # nor lost on an empty page


def test_the_picture_can_be_saved(tmp_path):
    confusion(TRUE, GUESS).figure.savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("y_true", "y_pred", "classes", "match"),
    [
        ([], [], None, "at least one"),
        (["B"], ["B", "T"], None, r"got 1 and 2 labels"),
        (["B", "T"], ["B", "NK"], ["B"], "lacks 'NK' and 1 more"),
    ],
)
def test_bad_labels_are_refused(y_true, y_pred, classes, match):
    with pytest.raises(ValueError, match=match):
        confusion(y_true, y_pred, classes)


def test_types_taken_for_each_other_are_neighbours():
    true = ["A"] * 10 + ["B"] * 10 + ["C"] * 10 + ["D"] * 10
    pred = ["A"] * 8 + ["D"] * 2 + ["B"] * 10 + ["C"] * 10 + ["D"] * 10
    assert y_names(confusion(true, pred)) == ["A (10)", "D (10)", "B (10)", "C (10)"]
    assert y_names(confusion(true, true)) == ["A (10)", "B (10)", "C (10)", "D (10)"]
