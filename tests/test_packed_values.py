"""Packed arrays are read as HDF5 reads them, and what is not as usual is left to HDF5."""

import zlib

import anndata
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genegraph import GeneGCNClassifier, expression_stored
from genegraph.packed_values import PackedValues, unpackable

KINDS = ("<f4", "<f8", "<f2", "<i4", "<i8", "<u2", "u1")
GZIP = {"compression": "gzip"}


def written(folder, values, **how):
    with h5py.File(folder / "values.h5", "w") as file:
        file.create_dataset("values", data=values, **how)
    return h5py.File(folder / "values.h5")["values"]


@given(
    kind=st.sampled_from(KINDS),
    length=st.integers(1, 70),
    chunk=st.integers(1, 30),
    shuffle=st.booleans(),
    level=st.sampled_from((0, 1, 9)),
    ends=st.tuples(st.integers(0, 70), st.integers(0, 70)),
)
def test_every_range_is_as_hdf5_reads_it(
    tmp_path_factory, kind, length, chunk, shuffle, level, ends
):
    values = np.random.default_rng(0).integers(0, 200, length).astype(kind)
    how = {**GZIP, "compression_opts": level, "shuffle": shuffle}
    folder = tmp_path_factory.mktemp("packed")
    array = written(folder, values, chunks=(min(chunk, length),), **how)
    assert unpackable(array)
    first, last = sorted(min(end, length) for end in ends)
    found = PackedValues(array)[first:last]
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values[first:last])


@pytest.mark.parametrize("shuffle", [False, True])
def test_chunks_are_not_unpacked_by_hdf5(tmp_path, monkeypatch, shuffle):
    values = np.arange(1000, dtype=np.float32)
    reader = PackedValues(written(tmp_path, values, chunks=(64,), shuffle=shuffle, **GZIP))
    asked = []
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, part: asked.append(part))
    np.testing.assert_array_equal(reader[100:900], values[100:900])
    assert not asked


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"chunks": (8,)},
        {"compression": "lzf"},
        {**GZIP, "fletcher32": True},
        {**GZIP, "scaleoffset": 0},
    ],
)
def test_other_packings_are_left_to_hdf5(tmp_path, how):
    assert not unpackable(written(tmp_path, np.arange(50, dtype=np.int32), **how))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(50, dtype=">f4"),
        np.arange(50) > 10,
        np.full(50, b"many"),
        np.ones((5, 10), np.float32),
    ],
)
def test_other_contents_are_left_to_hdf5(tmp_path, values):
    assert not unpackable(written(tmp_path, values, **GZIP))


def test_what_is_no_hdf5_array_is_left_alone():
    assert not unpackable(np.arange(5))


def test_a_chunk_that_was_never_written_holds_the_fill_value(tmp_path):
    array = written(tmp_path, None, shape=(40,), dtype="f4", chunks=(16,), fillvalue=7, **GZIP)
    np.testing.assert_array_equal(PackedValues(array)[3:20], np.full(17, 7))


def test_a_chunk_that_is_stored_unpacked_is_read(tmp_path):
    values = np.arange(32, dtype=np.int32)
    path = tmp_path / "values.h5"
    with h5py.File(path, "w") as file:
        array = file.create_dataset("values", data=values, chunks=(16,), **GZIP)
        array.id.write_direct_chunk((16,), (values[16:] * 2).tobytes(), filter_mask=1)
    found = PackedValues(h5py.File(path)["values"])[10:20]
    np.testing.assert_array_equal(found, [10, 11, 12, 13, 14, 15, 32, 34, 36, 38])


def with_one_chunk(path, content):
    with h5py.File(path, "w") as file:
        array = file.create_dataset("values", (32,), "i4", chunks=(16,), **GZIP)
        array.id.write_direct_chunk((0,), content)
    return PackedValues(h5py.File(path)["values"])


@pytest.mark.parametrize("size", [0, 8])
def test_a_chunk_that_unpacks_to_too_little_is_refused(tmp_path, size):
    reader = with_one_chunk(tmp_path / "values.h5", zlib.compress(bytes(size)))
    with pytest.raises(RuntimeError, match=f"unpacks to {size} bytes, not 64"):
        reader[2:9]


def test_a_chunk_that_unpacks_to_more_is_read_as_hdf5_reads_it(tmp_path):
    content = np.arange(150, dtype=np.int32).tobytes()
    reader = with_one_chunk(tmp_path / "values.h5", zlib.compress(content))
    np.testing.assert_array_equal(reader[2:9], np.arange(2, 9))


@pytest.fixture
def packed_cells(adata, tmp_path, monkeypatch):
    """A packed file of cells that stays on disk, and the bytes of its first chunk of values."""
    monkeypatch.setattr(expression_stored, "WINDOW_BYTES", 64)
    adata.write_h5ad(tmp_path / "cells.h5ad", **GZIP)
    with h5py.File(tmp_path / "cells.h5ad") as file:
        chunk = file["X/data"].id.get_chunk_info(0)
    return tmp_path / "cells.h5ad", slice(chunk.byte_offset, chunk.byte_offset + chunk.size)


def fit(path):
    cells = anndata.read_h5ad(path, backed="r")
    model = GeneGCNClassifier(hidden_channels=(8,), max_epochs=2, random_state=0, verbose=False)
    return model.fit(cells, "cell_type").predict_proba(cells)


def test_a_model_learns_the_same_as_through_hdf5(packed_cells, monkeypatch):
    path, _ = packed_cells
    here = fit(path)
    monkeypatch.setattr(expression_stored, "unpackable", lambda array: False)
    np.testing.assert_array_equal(here, fit(path))


def test_a_damaged_chunk_is_named(packed_cells):
    path, chunk = packed_cells
    content = bytearray(path.read_bytes())
    content[chunk.start + 40 : chunk.start + 60] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cells 0 to .* could not be read .* may be damaged"):
        fit(path)
