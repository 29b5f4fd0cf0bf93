"""Cells whose groups, shapes, number formats or attributes were changed; the HDF5 is whole."""

from pathlib import Path

import h5py
import numpy as np
from fuzz_mutation import Choices, put
from fuzz_seeds import MODEL, SEEDS

from genegraph import expression_stored
from genegraph.cli.options import _read as read_h5ad
from genegraph.expression import labels_from_obs, number_from_obs, read_anndata


def cells(data: bytes, folder: Path, backed: str | None = None) -> None:
    """Predicts the cells of an h5ad whose groups, shapes, numbers or attributes were changed."""
    choices = Choices(data)
    path = put(folder, "cells.h5ad", choices.of(SEEDS["h5ad"]))
    with h5py.File(path, "r+") as file:
        for _ in range(choices.rounds()):
            _change_hdf5(file, choices)
    expression_stored.WINDOW_BYTES = 64 if backed else 256 * 2**20
    adata = read_h5ad(path, backed)
    try:
        if choices.below(3):
            probabilities = MODEL[0].predict_proba(adata)
            assert probabilities.shape == (adata.n_obs, 2)
            assert np.isfinite(probabilities).all(), "NaN from finite cells"
        else:
            read_anndata(adata, choices.of((None, *adata.layers)))
        labels_from_obs(adata, "cell_type")
        number_from_obs(adata, "depth")
    finally:
        if backed:
            adata.file.close()


NUMBERS = [
    np.arange(3), np.zeros(0), np.zeros((3, 2), "f4"), np.full(30, 10**9), np.full(31, -1),
    np.full(30, np.nan), np.array([b"a", b"b"]), np.float32(1), np.zeros((0, 6)), np.zeros((30, 6)),
    np.full((30, 6), np.inf), np.zeros((30, 7)), np.zeros(31, "i8"), np.array([5, 4, 3] * 10),
]  # fmt: skip
ATTRIBUTES = ["csr_matrix", "csc_matrix", "array", "dataframe", "dict", "categorical", "what", 7]


def _change_hdf5(file: h5py.File, choices: Choices) -> None:
    names: list[str] = []
    file.visit(names.append)
    if not names:
        return
    name = choices.of(names)
    node = file[name]
    what = choices.of((1, 2, 2, 3) if isinstance(node, h5py.Dataset) else (0, 3, 4))
    if what == 0:
        del file[name]
    elif what == 1 and isinstance(node, h5py.Dataset):
        del file[name]
        file[name] = choices.of(NUMBERS)
    elif what == 2 and isinstance(node, h5py.Dataset) and node.shape and node.dtype.kind in "iuf":
        values = np.asarray(node[()])
        place = choices.below(values.size or 1)
        if values.size:
            values.flat[place] = choices.of((0, 1, 100, 2**31 - 1)) * choices.of((1, -1))
            node[...] = values
    elif what == 3 and len(node.attrs):
        key = choices.of(sorted(node.attrs))
        value = choices.of((*ATTRIBUTES, None))
        if value is None:
            del node.attrs[key]
        else:
            node.attrs[key] = np.array([30, choices.below(9)]) if key == "shape" else value
    else:
        del file[name]
        file.create_group(name)
