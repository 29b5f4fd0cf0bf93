import json
import os
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file

from genegraph import safefile
from genegraph.safefile import read_safe, write_safe

TENSORS = {
    "w": torch.arange(6.0).reshape(2, 3),
    "b": torch.tensor([True, False]),
    "s": torch.ones(()),
}
META = {"genes": ["CD3D", "Ünïcode", 'quote"'], "lr": 0.1, "nothing": None}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    write_safe(path, TENSORS, META, kind="model", version=1)
    return path


def read(path):
    return read_safe(path, kind="model", version=1)


def change_document(path, **changes):
    """Writes the file again with other texts and a hash that fits them."""
    content = path.read_bytes()
    text, _ = safefile._read_header(path, content)
    text = json.dumps(json.loads(text) | changes)
    sealed = f'{text[:-1]}, "sha256": "{safefile._hash(text, TENSORS)}"}}'
    save_file(TENSORS, path, {"genegraph": sealed})


def test_tensors_and_json_come_back(path):
    tensors, meta = read(path)
    assert meta == META
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "bfloat16", "float64", "complex64"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3)])
def test_every_format_and_shape_comes_back(tmp_path, dtype, shape):
    tensor = torch.full(shape, 3, dtype=getattr(torch, dtype))
    write_safe(tmp_path / "t", {"t": tensor}, {}, kind="model", version=1)
    found = read(tmp_path / "t")[0]["t"]
    assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(found, tensor)


def test_no_tensors_at_all_is_fine(tmp_path):
    write_safe(tmp_path / "t", {}, {"a": 1}, kind="model", version=1)
    assert read(tmp_path / "t") == ({}, {"a": 1})


def test_shared_strided_and_learned_tensors_are_stored_by_value(tmp_path):
    whole = torch.arange(6.0).reshape(2, 3).requires_grad_()
    tensors = {"whole": whole, "again": whole, "turned": whole.T, "row": whole[1]}
    write_safe(tmp_path / "t", tensors, {}, kind="model", version=1)
    found, _ = read(tmp_path / "t")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_equal_content_gives_equal_files(path, tmp_path):
    other = tmp_path / "other"
    write_safe(other, dict(reversed(TENSORS.items())), META, kind="model", version=1)
    assert other.read_bytes() == path.read_bytes()


def test_the_header_is_json_that_other_programs_can_read(path):
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    document = json.loads(header["__metadata__"]["genegraph"])
    assert (document["kind"], document["format"], document["meta"]) == ("model", 1, META)


def test_plain_safetensors_reads_the_weights(path):
    from safetensors.torch import load_file

    assert torch.equal(load_file(path)["w"], TENSORS["w"])


def test_every_flipped_bit_is_noticed(path):
    content = bytearray(path.read_bytes())
    for position in range(len(content)):
        bit = 1 << (position % 8)
        content[position] ^= bit
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"damaged|must be a genegraph file|must have format"):
            read(path)
        content[position] ^= bit


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_the_first_and_last_bytes_is_noticed(path, bit):
    content = path.read_bytes()
    for position in [*range(12), *range(len(content) - 26, len(content))]:
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=str(path)):
            read(path)


def test_every_truncation_is_noticed(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"damaged|must be a genegraph file"):
            read(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="damaged"):
        read(path)


@pytest.mark.parametrize(("old", "new"), [(b"[2,3]", b"[3,2]"), (b'"F32"', b'"I32"')])
def test_changed_shapes_and_formats_are_noticed(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match="damaged: its sha256 does not match"):
        read(path)


class Trap:
    def __reduce__(self):
        return os.system, ("echo trapped",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a genegraph file .got 0 bytes"),
        (b"gene,cell\nCD3D,1\n" * 100, "must be a genegraph file"),
        (b"\x02\0\0\0\0\0\0\0{}", "must be a genegraph file"),
        (b"\x02\0\0\0\0\0\0\0[]", "must be a genegraph file"),
        (b"\x40\0\0\0\0\0\0\0" + b"[" * 64, "must be a genegraph file"),
        ((10**6).to_bytes(8, "little") + b"[" * 10**6, "must be a genegraph file"),
        (pickle.dumps(Trap()), "zip or pickle file"),
    ],
    ids=["empty", "text", "object", "list", "brackets", "deep", "pickle"],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "other")


def test_torch_and_plain_safetensors_files_are_refused(tmp_path):
    torch.save({"a": Trap()}, tmp_path / "torch.pt")
    with pytest.raises(ValueError, match="zip or pickle file"):
        read(tmp_path / "torch.pt")
    save_file(TENSORS, tmp_path / "plain", {"format": "pt"})
    with pytest.raises(ValueError, match="must be a genegraph file"):
        read(tmp_path / "plain")


def test_missing_files_and_folders_say_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_another_kind_or_format_is_refused(path):
    with pytest.raises(ValueError, match=r"must hold a checkpoint \(got a model\)"):
        read_safe(path, kind="checkpoint", version=1)
    with pytest.raises(ValueError, match=r"must have format 0 \(got 1, which is newer\).*Update"):
        read_safe(path, kind="model", version=0)
    with pytest.raises(
        ValueError, match=r"must have format 2 \(got 1, which is older\).*genegraph 0"
    ):
        read_safe(path, kind="model", version=2)


@pytest.mark.parametrize(
    "changes", [{"meta": []}, {"format": "1"}, {"kind": None}, {"genegraph": 1}, {"format": True}]
)
def test_documents_of_another_shape_are_refused(path, changes):
    change_document(path, **changes)
    with pytest.raises(ValueError, match="damaged: its JSON"):
        read(path)


@pytest.mark.parametrize(
    ("tensors", "meta", "error", "message"),
    [
        ({}, {"a": {1, 2}}, TypeError, "not JSON serializable"),
        ({}, {"a": float("nan")}, ValueError, "Out of range|not JSON compliant"),
        ({"w": torch.eye(2).to_sparse()}, {}, TypeError, "'w': cannot store.*sparse"),
        ({"w": torch.ones(1, dtype=torch.complex128)}, {}, TypeError, "complex128"),
        ({"w": torch.ones(1, device="meta")}, {}, TypeError, "device meta"),
    ],
)
def test_what_cannot_be_stored_leaves_the_old_file(path, tensors, meta, error, message):
    before = path.read_bytes()
    with pytest.raises(error, match=message):
        write_safe(path, tensors, meta, kind="model", version=1)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_an_oversized_document_is_refused_before_writing(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be written.*too large"):
        write_safe(tmp_path / "t", {}, {"a": "x" * 101_000_000}, kind="model", version=1)
    assert os.listdir(tmp_path) == []


def test_a_failed_move_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_safe(path, {}, {}, kind="model", version=1)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_content_is_on_disk_before_the_name_moves(tmp_path, monkeypatch):
    steps = []

    def noted(name, do):
        return lambda *args: (steps.append(name), do(*args))

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    write_safe(tmp_path / "t", {}, {}, kind="model", version=1)
    assert steps == ["fsync", "replace", "fsync"]


def test_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_safe(tmp_path / "t", {}, {}, kind="model", version=1)
    finally:
        os.umask(before)
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o640


def test_a_file_name_without_a_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_safe("model", {}, {"a": 1}, kind="model", version=1)
    assert read("model") == ({}, {"a": 1})


def test_reading_never_unpickles(path, monkeypatch):
    events = []
    watching = [True]
    sys.addaudithook(  # it cannot be removed, only told to look away
        lambda event, _: events.append(event) if watching[0] and "pickle" in event else None
    )

    def refuse(*_, **__):
        raise AssertionError("unpickling")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    try:
        assert read(path)[1] == META
    finally:
        watching[0] = False
    assert events == []


def test_a_header_length_that_begins_like_a_pickle_is_read(tmp_path):
    path = tmp_path / "file"
    for extra in range(0, 512, 8):
        write_safe(path, {}, {"text": "x" * extra}, kind="test", version=1)
        if path.read_bytes()[0] == 0x80:
            assert read_safe(path, kind="test", version=1) == ({}, {"text": "x" * extra})
            return
    pytest.fail("no header had such a length")
