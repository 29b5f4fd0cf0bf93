"""Writes a simulated study: interactions, cells, and the truth they were made from."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genegraph.interactions.biogrid_archive import ORGANISM_OF_TAXON
from genegraph.simulation.arguments import Arguments, checked_arguments
from genegraph.simulation.biogrid_file import write_biogrid
from genegraph.simulation.cells import build_model, draw_cells, find_library
from genegraph.simulation.folder import whole_folder
from genegraph.simulation.h5ad_file import write_h5ad
from genegraph.simulation.model import (
    GENE_DIGITS,
    Genes,
    draw_activities,
    draw_genes,
    draw_labels,
    numbered,
)
from genegraph.simulation.network import draw_network
from genegraph.simulation.streams import stream
from genegraph.simulation.stringdb_files import write_info, write_links
from genegraph.simulation.watch import watched

HUMAN = 9606


@dataclass(frozen=True)
class SimulatedStudy:
    """Where the files of a simulated study are.

    Attributes:
        folder: The folder that holds them all.
        links: Interactions for ``read_stringdb``.
        info: The names of its proteins, for ``read_stringdb`` too.
        biogrid: Interactions for ``read_biogrid``.
        cells: Counts, types and the truth, for ``anndata.read_h5ad``.
    """

    folder: Path
    links: Path
    info: Path
    biogrid: Path
    cells: Path


def simulate(
    folder: str | os.PathLike[str],
    *,
    n_cells: int = 3_000,
    n_genes: int = 20_499,
    n_interacting: int = 1_817,
    n_types: int = 46,
    n_modules: int = 60,
    n_hidden: int = 90,
    graph_signal: float = 1.0,
    effect: float = 0.35,
    noise: float = 0.5,
    zeros: float = 0.9,
    taxon: int = HUMAN,
    random_state: int = 0,
    verbose: bool = True,
) -> SimulatedStudy:
    r"""Writes a single-cell study with known truth, in the file formats of real ones.

    Cell types differ in the activity of gene modules, and genes of a module interact: what a
    graph of interactions is hoped to help with, and, unlike in real data, known to be there. With
    ``graph_signal=0`` who interacts with whom is chance, and that is known as well.

    **Genes.** ``n_interacting`` genes, drawn at random, are split into ``n_modules`` modules of
    uneven size, of at least 4. Twice as many other genes (or all there are) belong to modules too,
    unknown to the databases. Of the genes that are left ``n_hidden`` further modules are made, as
    large as the known parts of the others, of which the databases know nothing at all. The rest
    belong to none, and their rates do not depend on the type.

    **Cells.** Type :math:`t` has activity :math:`a_{tm} \sim N(0, 1)` in module :math:`m`. Cell
    :math:`b` of this type expresses gene :math:`i` of module :math:`m(i)` at the rate

    .. math::
        \lambda_{bi} = \exp\Big(\beta_i + l_i z_{b m(i)}
            - \tfrac{1}{2} l_i^2 (\text{effect}^2 + \text{noise}^2)\Big), \qquad
        z_{bm} = \text{effect} \cdot a_{tm} + \text{noise} \cdot e_{bm}

    with :math:`e_{bm} \sim N(0, 1)`, baseline :math:`\beta_i \sim N(0, 2^2)`, and loading
    :math:`l_i` from :math:`U(0.5, 1.5)` for interacting genes and those of hidden modules, from
    :math:`U(0.25, 0.75)` for the unknown members of modules, and 0 for genes of none. The last
    term makes the expected rate the same in and out of modules. Of :math:`T_b` transcripts the
    cell has

    .. math::
        x_{bi} \sim \operatorname{Poisson}\Big(T_b \, \lambda_{bi} \big/ \sum_k \lambda_{bk}\Big),
        \qquad \log T_b \sim N(\log T, 0.35^2)

    of gene :math:`i`. Counts of droplet data are Poisson given the rates, without further zeros
    [1]_. :math:`T` is chosen so that a share ``zeros`` of all counts is expected to be zero.

    **Interactions.** Within a module the interacting genes make a connected random graph with 20
    partners a gene on average (a module of up to 21 is complete). A random share
    ``1 - graph_signal`` of all edges then swaps ends with one another, whatever the modules, so
    that every gene keeps its number of partners [2]_. Cells do not depend on ``graph_signal``.

    - STRING has every edge with a score of at least 700, also from ``["experiments",
      "database"]`` alone, and as many pairs of random genes that score 150 to 399.
    - BioGRID has a random half of the edges, with 1 to 8 publications each; besides, genetic
      rows and rows of two species, which ``read_biogrid`` leaves out.

    The h5ad file holds

    - ``X``: counts, CSR, float32;
    - ``obs["cell_type"]``: types in uneven shares, at least 4 cells of each, shuffled;
    - ``var["module"]`` (missing where there is none), ``var["interacting"]``, ``var["loading"]``;
    - ``uns["simulation"]``: the arguments, ``library_size`` :math:`T`, and ``activities``
      :math:`a`, a table of types x modules.

    Cells are drawn and written a few hundred at a time, so that a million need little memory. Each
    draws from a random stream of its own, so that the same arguments give the same files (with the
    same versions of the libraries).

    Args:
        folder: Where to write: a new or an empty folder. It appears once all files are complete;
            on failure nothing is left.
        n_cells: Number of cells; at least 4 for every type.
        n_genes: Number of genes.
        n_interacting: How many of them have interactions; at least 4 for every module.
        n_types: Number of cell types.
        n_modules: Number of modules with interacting genes.
        n_hidden: Number of further modules, none of whose genes interact: what is lost by keeping
            interacting genes only.
        graph_signal: Share of the edges that join genes of one module: 1 all of them; 0 no more
            than chance. Even then the graph tells one thing: which genes are in modules and
            heavily loaded, as they have edges at all. Compare with ``GeneGraph.rewire``, which
            knows it too.
        effect: How far the types lie apart. At the defaults a plain fully connected network names
            about half of the cells rightly.
        noise: How far the cells of a type lie apart in the same modules.
        zeros: Expected share of counts that are zero.
        taxon: NCBI taxon, one that BioGRID has a file of. Genes are named ``SIM00001`` in human
            (9606), ``Sim00001`` elsewhere, so that another species shares no name.
        random_state: Seed of everything random, a whole number.
        verbose: Whether to show a progress bar on stderr; only a terminal gets one, and only
            where writing takes longer than two seconds.

    Returns:
        The paths of the folder and the four files in it.

    Raises:
        TypeError: If an argument is of the wrong kind.
        ValueError: If one is out of range, or no library size leads to ``zeros``.
        FileExistsError: If ``folder`` is a file, or not empty.

    References:
        .. [1] Svensson, "Droplet scRNA-seq is not zero-inflated", Nature Biotechnology 38, 2020.
           https://doi.org/10.1038/s41587-019-0379-5
        .. [2] Maslov & Sneppen, "Specificity and Stability in Topology of Protein Networks",
           Science 296, 2002. https://doi.org/10.1126/science.1065103

    Example:
        >>> import tempfile
        >>> from anndata import read_h5ad
        >>> from genegraph import GeneGraph, read_stringdb
        >>> size = {"n_cells": 50, "n_types": 5}
        >>> size |= {"n_genes": 300, "n_interacting": 80, "n_modules": 4, "n_hidden": 2}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     study = simulate(f"{folder}/study", **size)
        ...     cells = read_h5ad(study.cells)
        ...     links = read_stringdb(study.links, study.info, min_score=700)
        >>> cells.shape, cells.obs["cell_type"].nunique()
        ((50, 300), 5)
        >>> graph = GeneGraph.from_interactions(links, genes=cells.var_names)
        >>> graph.report().interacting
        80
    """
    asked = checked_arguments(
        n_cells=n_cells,
        n_genes=n_genes,
        n_interacting=n_interacting,
        n_types=n_types,
        n_modules=n_modules,
        n_hidden=n_hidden,
        graph_signal=graph_signal,
        effect=effect,
        noise=noise,
        zeros=zeros,
        taxon=taxon,
        random_state=random_state,
    )
    place = Path(folder).resolve()
    with whole_folder(place) as draft:
        genes = draw_genes(
            asked.n_genes,
            asked.n_interacting,
            asked.n_modules,
            asked.n_hidden,
            _prefix(human=asked.taxon == HUMAN),
            asked.random_state,
        )
        files = _files(draft, asked.taxon)
        _write_cells(files.cells, genes, asked, verbose)
        _write_interactions(files, genes, asked)
    return _files(place, asked.taxon)


def _files(folder: Path, taxon: int) -> SimulatedStudy:
    return SimulatedStudy(
        folder,
        folder / f"{taxon}.protein.links.full.v12.0.txt.gz",
        folder / f"{taxon}.protein.info.v12.0.txt.gz",
        folder / f"BIOGRID-ORGANISM-{ORGANISM_OF_TAXON[taxon]}-4.4.240.tab3.txt",
        folder / "cells.h5ad",
    )


def _prefix(human: bool) -> str:
    return "SIM" if human else "Sim"


def _write_cells(path: Path, genes: Genes, asked: Arguments, verbose: bool) -> None:
    seed = asked.random_state
    labels = draw_labels(asked.n_cells, asked.n_types, seed)
    activities = draw_activities(asked.n_types, asked.n_modules + asked.n_hidden, seed)
    model = build_model(genes, activities, labels, asked.effect, asked.noise, seed)
    library = find_library(model, asked.zeros)

    cells = pd.Index(numbered("cell", asked.n_cells, 6))
    types = pd.Index(numbered("type ", asked.n_types, 2))
    known, hidden = ("module ", asked.n_modules), ("hidden module ", asked.n_hidden)
    modules = pd.Index([name for kind in (known, hidden) for name in numbered(*kind, 2)])
    obs = pd.DataFrame({"cell_type": pd.Categorical.from_codes(labels, types)}, cells)
    var = pd.DataFrame(
        {
            "module": pd.Categorical.from_codes(genes.module, modules),
            "interacting": genes.interacting,
            "loading": genes.loading,
        },
        pd.Index(genes.names),
    )
    truth = pd.DataFrame(activities, types, modules)
    uns = {"simulation": asked._asdict() | {"library_size": library, "activities": truth}}
    write_h5ad(path, watched(draw_cells(model, library), asked.n_cells, verbose), obs, var, uns)


def _write_interactions(files: SimulatedStudy, genes: Genes, asked: Arguments) -> None:
    taxon, seed = asked.taxon, asked.random_state
    pairs = draw_network(genes, asked.graph_signal, seed)
    rng = stream(seed, "string")
    write_links(files.links, pairs, len(genes.names), taxon, rng)
    write_info(files.info, genes.names, taxon, rng)
    foreign = numbered(_prefix(human=taxon != HUMAN), len(genes.names), GENE_DIGITS)
    write_biogrid(files.biogrid, pairs, genes.names, foreign, taxon, stream(seed, "biogrid"))
