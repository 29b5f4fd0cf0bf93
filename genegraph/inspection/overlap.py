"""How the genes of cells and of a graph meet."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genegraph.classifier import GeneGCNClassifier
from genegraph.classifier_checks import check_options
from genegraph.classifier_network import align_graph
from genegraph.graph import GeneGraph
from genegraph.inspection.asked import Asked
from genegraph.inspection.findings import Findings
from genegraph.inspection.gene_names import strip_line
from genegraph.interactions.identifiers import describe_identifiers, strip_versions
from genegraph.interactions.wording import some_of

if TYPE_CHECKING:
    from anndata import AnnData


def look_at_overlap(
    asked: Asked, reads: NDArray[np.float64] | None, found: Findings
) -> dict[str, float] | None:
    """Returns how many genes are in both, and how much of the expression they hold.

    Args:
        asked: What is looked at.
        reads: Reads of each gene of the cells, where they are known.
        found: Where findings go.
    """
    adata, graph = asked.adata, asked.graph
    names = [str(name) for name in adata.var_names]
    if not names:
        return None
    if graph is None:
        found.add("info", "graph", "none was given.", "genegraph.inspect(adata, graph)")
        return None
    model = GeneGCNClassifier(graph)
    model.feature_names_in_ = list(dict.fromkeys(names))  # one named twice is told of elsewhere

    def has_options() -> bool:
        check_options(model)
        return True

    if not found.refused("graph", "graph = GeneGraph.from_interactions(graph)", has_options):
        return None
    kind = describe_identifiers(graph.genes).in_words if graph.genes else "none"
    found.add("info", "graph", f"{graph.num_genes:,} genes, {kind}: {some_of(graph.genes)}.")
    known = set(graph.genes)
    shared = np.array([name in known for name in names], dtype=bool)
    found.refused("graph", lambda: _advice(adata, graph, shared), lambda: align_graph(model))
    aligned = model.graph_
    seen: dict[str, float] = {
        "genes": graph.num_genes,
        "shared": int(shared.sum()),
        "share_of_genes": float(shared.mean()),
    }
    words = f"{shared.sum():,} of the {len(names):,} genes of the cells are in the graph"
    if reads is not None and reads.sum() > 0:
        seen["share_of_reads"] = float(reads[shared].sum() / reads.sum())
        words += f", with {seen['share_of_reads']:.0%} of the reads"
    if aligned is None:
        return seen
    report = aligned.report()
    seen["isolated"] = report.isolated
    found.add(
        "info",
        "graph",
        f"{words}; {report.edges_kept:,} edges; {report.isolated:,} genes have none and only see "
        "themselves.",
    )
    if shared.mean() < 0.1:  # of which align has warned
        return seen
    if not report.interacting:
        found.add(
            "warning",
            "graph",
            "No two genes of the cells have an edge, so the graph changes nothing.",
            _advice(adata, graph, shared),
        )
    elif line := _better_names(adata, graph, shared):
        found.add("info", "graph", "Other names would find more genes in the graph.", line)
    return seen


def _advice(adata: "AnnData", graph: GeneGraph, shared: NDArray[np.bool_]) -> str:
    """The line for genes that are not in the graph."""
    names = [str(name) for name in adata.var_names]
    if graph.normalization is not None:
        return "graph = GeneGraph.from_interactions(table)  # without normalize(), which fit does"
    if "" in names:
        return 'adata = adata[:, adata.var_names != ""].copy()'
    known = set(graph.genes)
    if sum(str(name) in known for name in adata.obs_names) > shared.sum():
        return "adata = adata.T.copy()"
    if line := _better_names(adata, graph, shared):
        return line
    if len(known.intersection(strip_versions(names)[0])) > shared.sum():
        return strip_line()
    mine, theirs = describe_identifiers(names).kind, describe_identifiers(graph.genes).kind
    if theirs == "ensembl_protein":
        return "graph = GeneGraph.from_interactions(read_stringdb(links, info))"
    alike = len({name.upper() for name in names} & {name.upper() for name in known})
    if mine != theirs or alike > shared.sum():  # only the case differs: another species
        to = {"ensembl_gene": "ensembl", "number": "entrez"}.get(theirs, "symbol")
        table = "orthologs.tsv" if mine == theirs else "names.tsv"
        return f'adata, report = genegraph.map_genes(adata, "{to}", "{table}")'
    return ""


def _better_names(adata: "AnnData", graph: GeneGraph, shared: NDArray[np.bool_]) -> str:
    """The line that names genes by a column of ``var`` which more of the graph's genes are in."""
    known, most, best = set(graph.genes), 1.1 * shared.sum(), None
    for column in adata.var.columns:
        values = adata.var[column]
        if pd.api.types.is_numeric_dtype(values) or values.isna().any():
            continue
        hits = len(known.intersection(values.astype(str)))
        if hits > most:
            most, best = hits, column
    if best is None:
        return ""
    line = f"adata.var_names = adata.var[{best!r}].astype(str)"
    return line if adata.var[best].is_unique else f"{line}; adata.var_names_make_unique()"
