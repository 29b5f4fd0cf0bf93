"""Small files under the names that the documents use, made by ``genegraph.datasets.simulate``."""

import gzip
import zipfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

from genegraph import GeneGraph
from genegraph.datasets import simulate

SIZE = {"n_cells": 360, "n_genes": 600, "n_interacting": 240, "n_types": 4}
SIZE |= {"n_modules": 8, "n_hidden": 4, "effect": 1.0, "zeros": 0.7, "verbose": False}
CHANNELS = ["neighborhood", "fusion", "cooccurence", "coexpression"]
CHANNELS += ["experimental", "database", "textmining"]  # as in the detailed file


def write_files(folder: Path) -> None:
    """Writes STRING's and BioGRID's files, a table of edges, and cells to learn from and to name.

    Args:
        folder: An empty folder.
    """
    study = simulate(folder / "study", **SIZE)
    _write_string(folder, study.links, study.info)
    _write_biogrid(folder, study.biogrid)
    cells = anndata.read_h5ad(study.cells)
    _write_cells(folder, cells)
    _write_edges(folder, cells)


def _write_string(folder: Path, links: Path, info: Path) -> None:
    full = pd.read_csv(links, sep=" ")
    pair, score = ["protein1", "protein2"], "combined_score"
    detailed = full.rename(columns={"experiments": "experimental"})[pair + CHANNELS + [score]]
    _write(folder / "9606.protein.links.full.v12.0.txt.gz", full, " ")
    _write(
        folder / "9606.protein.links.detailed.v12.0.txt.gz",
        detailed[pair + CHANNELS + [score]],
        " ",
    )
    _write(folder / "9606.protein.links.v12.0.txt.gz", full[[*pair, score]], " ")
    names = pd.read_csv(info, sep="\t")
    _write(folder / "9606.protein.info.v12.0.txt.gz", names, "\t")
    aliases = names.iloc[:, :2].set_axis(["#string_protein_id", "alias"], axis=1)
    aliases = aliases.assign(source="Ensembl_HGNC_symbol")
    _write(folder / "9606.protein.aliases.v12.0.txt.gz", aliases, "\t")


def _write(path: Path, table: pd.DataFrame, sep: str) -> None:
    with gzip.open(path, "wt") as stream:
        table.to_csv(stream, sep=sep, index=False)


def _write_biogrid(folder: Path, table: Path) -> None:
    with zipfile.ZipFile(folder / "BIOGRID-ORGANISM-5.0.261.tab3.zip", "w") as archive:
        archive.write(table, table.name.replace("4.4.240", "5.0.261"))


def _write_cells(folder: Path, cells: anndata.AnnData) -> None:
    rng = np.random.default_rng(0)
    cells.obs["donor"] = pd.Categorical([f"donor {i % 4}" for i in range(cells.n_obs)])
    del cells.uns["simulation"]
    reference, query = cells[:240].copy(), cells[240:].copy()
    # As files of two laboratories: other genes, in another order.
    query = query[:, rng.permutation(query.n_vars)[30:]].copy()
    reference.write_h5ad(folder / "reference.h5ad")
    reference.write_h5ad(folder / "atlas.h5ad")
    query.write_h5ad(folder / "query.h5ad")


def _write_edges(folder: Path, cells: anndata.AnnData) -> None:
    genes = cells.var_names[cells.var["interacting"]]
    table = pd.DataFrame({"gene_a": genes[:-1], "gene_b": genes[1:], "score": 0.8})
    table.to_csv(folder / "my_pathway.csv", index=False)
    GeneGraph.from_interactions(table, genes=cells.var_names).save(folder / "string.genegraph")
