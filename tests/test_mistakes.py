"""What users get wrong, and what they are told: the right type of error, and what to do next."""

import gzip
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

from genegraph import GeneGCNClassifier, GeneGraph, read_biogrid, read_edges, read_stringdb
from genegraph.datasets import simulate

LINKS = (
    "protein1 protein2 combined_score\n"
    "9606.ENSP1 9606.ENSP2 900\n"
    "9606.ENSP2 9606.ENSP1 900\n"
    "9606.ENSP2 9606.ENSP3 500\n"
)
INFO = (
    "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
    "9606.ENSP1\tG0\t10\t-\n9606.ENSP2\tG1\t10\t-\n9606.ENSP3\tG2\t10\t-\n"
)
OPTIONS = {"hidden_channels": (4,), "max_epochs": 1, "verbose": False, "random_state": 0}


class Desk:
    """What the mistakes are made with."""

    def __init__(self, folder: Path, adata: anndata.AnnData, graph: GeneGraph) -> None:
        self.folder, self.adata, self.graph = folder, adata, graph

    def file(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def fitted(self, **options: object) -> GeneGCNClassifier:
        return GeneGCNClassifier(self.graph, **{**OPTIONS, **options}).fit(self.adata, "cell_type")

    def with_values(self, change: object) -> anndata.AnnData:
        adata = self.adata.copy()
        adata.X = change(adata.X.toarray())
        return adata


def put(where: tuple[int, int], value: float):
    def change(X):
        X[where] = value
        return X

    return change


def one_class(desk):
    desk.adata.obs["cell_type"] = "T cell"
    return desk.fitted()


def missing_label(desk):
    labels = desk.adata.obs["cell_type"].astype(object)
    labels.iloc[3] = None
    desk.adata.obs["cell_type"] = labels
    return desk.fitted()


def doubled_gene(desk):
    desk.adata.var_names = ["G1", "G1", *desk.adata.var_names[2:]]
    return desk.fitted()


def other_species(desk):
    desk.adata.var_names = [f"ENSG0000000000{i}" for i in range(12)]
    return desk.fitted()


def too_few_genes(desk):
    return desk.fitted().predict(desk.adata[:, :6].copy())


def half_a_model(desk):
    path = desk.folder / "model"
    desk.fitted().save(path)
    path.write_bytes(path.read_bytes()[:-100])
    return GeneGCNClassifier.load(path)


def a_pickle(desk):
    path = desk.folder / "model.pt"
    torch.save({"weight": torch.ones(3)}, path)
    return GeneGCNClassifier.load(path)


def shuffled_columns(desk):
    frame = desk.adata.to_df()
    model = GeneGCNClassifier(**OPTIONS).fit(frame, desk.adata.obs["cell_type"])
    return model.predict(frame[frame.columns[::-1]])


def wrong_taxon(desk):
    header = Path(__file__).parent / "data" / "BIOGRID-ALL-4.4.240.tab3.txt"
    return read_biogrid(header, taxon=4)


# name: (mistake, type of error, what the message says)
MISTAKES = {
    "info file as links": (
        lambda d: read_stringdb(d.file("links.txt", INFO)),
        ValueError,
        "info",
    ),
    "a web page as links": (
        lambda d: read_stringdb(d.file("links.txt", "<!DOCTYPE html><html></html>")),
        ValueError,
        "(?i)html|web page",
    ),
    "truncated gzip": (
        lambda d: read_stringdb(d.file("l.txt.gz", gzip.compress(LINKS.encode() * 99)[:-20])),
        ValueError,
        "truncated or damaged",
    ),
    "empty file": (
        lambda d: read_stringdb(d.file("links.txt", "")),
        ValueError,
        "empty",
    ),
    "no such file": (
        lambda d: read_stringdb(d.folder / "nowhere.txt.gz"),
        FileNotFoundError,
        "nowhere",
    ),
    "score in 0..1": (
        lambda d: read_stringdb(d.file("links.txt", LINKS), min_score=0.7),
        ValueError,
        "0 to 1000.*700",
    ),
    "score too high for any row": (
        lambda d: read_stringdb(d.file("links.txt", LINKS), min_score=999),
        ValueError,
        "(?i)no .*(row|pair|interaction)",
    ),
    "unknown channel": (
        lambda d: read_stringdb(d.file("links.txt", LINKS), channels=["experiments"]),
        ValueError,
        "experiments",
    ),
    "wrong taxon": (wrong_taxon, ValueError, "9606|559292"),
    "wrong column of a table": (
        lambda d: read_edges(pd.DataFrame({"a": ["X"], "b": ["Y"]}), gene_a="left", gene_b="b"),
        (KeyError, ValueError),
        "left",
    ),
    "scores above one": (
        lambda d: read_edges(pd.DataFrame({"gene_a": ["X"], "gene_b": ["Y"], "score": [900]})),
        ValueError,
        "max_score",
    ),
    "misspelt label column": (
        lambda d: d.fitted() and GeneGCNClassifier(**OPTIONS).fit(d.adata, "celltype"),
        KeyError,
        "did you mean 'cell_type'",
    ),
    "missing layer": (
        lambda d: GeneGCNClassifier(**OPTIONS).fit(d.adata, "cell_type", layer="counts"),
        KeyError,
        "No layer 'counts'",
    ),
    "label missing": (missing_label, ValueError, "1 of 120 without a label"),
    "one class": (one_class, ValueError, "at least 2 classes"),
    "no shared genes": (other_species, ValueError, "(?s)ENSG.*G0|G0.*ENSG"),
    "transposed matrix": (
        lambda d: d.fitted().predict(d.adata.T.copy()),
        ValueError,
        "transposed",
    ),
    "duplicated gene": (doubled_gene, ValueError, "var_names_make_unique"),
    "negative values": (
        lambda d: GeneGCNClassifier(**OPTIONS).fit(d.with_values(lambda X: X - 5), "cell_type"),
        ValueError,
        "scaled",
    ),
    "NaN": (
        lambda d: GeneGCNClassifier(**OPTIONS).fit(d.with_values(put((2, 1), np.nan)), "cell_type"),
        ValueError,
        "NaN",
    ),
    "infinity at predict": (
        lambda d: d.fitted().predict(d.with_values(put((2, 1), np.inf))),
        ValueError,
        "inf",
    ),
    "neither counts nor log1p": (
        lambda d: GeneGCNClassifier(**OPTIONS).fit(d.with_values(np.sqrt), "cell_type"),
        ValueError,
        'values="log1p"',
    ),
    "log values for a model of counts": (
        lambda d: d.fitted().predict(d.with_values(np.log1p)),
        ValueError,
        "fitted on",
    ),
    "query lacks half the genes": (too_few_genes, ValueError, "max_missing"),
    "columns of a frame in another order": (shuffled_columns, ValueError, "same order|match"),
    "array of another width": (
        lambda d: (
            GeneGCNClassifier(**OPTIONS)
            .fit(d.adata.X.toarray(), d.adata.obs["cell_type"])
            .predict(np.ones((2, 5)))
        ),
        ValueError,
        "5 features.*expecting 12",
    ),
    "graph of another width": (
        lambda d: GeneGCNClassifier(d.graph, **OPTIONS).fit(np.ones((4, 5)), list("abab")),
        ValueError,
        "5 genes .got 12",
    ),
    "a table as graph": (
        lambda d: GeneGCNClassifier(pd.DataFrame(), **OPTIONS).fit(d.adata, "cell_type"),
        TypeError,
        "GeneGraph.from_interactions",
    ),
    "edges without a graph": (
        lambda d: GeneGCNClassifier(attention="edges", **OPTIONS).fit(d.adata, "cell_type"),
        ValueError,
        "needs a graph",
    ),
    "unknown option": (
        lambda d: d.fitted(normalize="symmetric"),
        ValueError,
        "must be one of .*'symmetric'",
    ),
    "additive attention over all genes": (
        lambda d: d.fitted(attention="full", attention_function="additive"),
        ValueError,
        "no linear-time form.*attention='edges'",
    ),
    "unknown attention function": (
        lambda d: d.fitted(attention="full", attention_function="cosine"),
        ValueError,
        "'attention_function' must be one of .*'cosine'",
    ),
    "gene-aware without attention": (
        lambda d: d.fitted(gene_aware=True),
        ValueError,
        "needs attention='full' or attention='edges' .got attention=None",
    ),
    "gene-aware additive attention": (
        lambda d: d.fitted(attention="edges", attention_function="additive", gene_aware=True),
        ValueError,
        "made of products",
    ),
    "more neighbours than genes": (
        lambda d: d.fitted(attention="shared", num_neighbors=12),
        ValueError,
        "'num_neighbors' must lie between 1 and 11",
    ),
    "unknown pretraining": (
        lambda d: d.fitted(pretrain="freeze"),
        ValueError,
        "'pretrain' must be one of .*'frozen'.*'freeze'",
    ),
    "percent of edges": (
        lambda d: d.graph.thin(20),
        ValueError,
        "'share' must lie in 0 .. 1 .got 20",
    ),
    "control after normalisation": (
        lambda d: d.graph.normalize("sym").randomize(),
        ValueError,
        "randomize first, then normalise",
    ),
    "study in a full folder": (
        lambda d: simulate(d.file("mine.txt", "precious").parent, n_cells=200),
        FileExistsError,
        "nothing is overwritten",
    ),
    "normalised twice": (
        lambda d: GeneGCNClassifier(d.graph.normalize("sym"), **OPTIONS).fit(d.adata, "cell_type"),
        ValueError,
        "(?i)normali[sz]ed (already|twice)|already normali[sz]ed",
    ),
    "batch size of zero": (lambda d: d.fitted(batch_size=0), ValueError, "'batch_size'"),
    "no CUDA": (
        lambda d: d.fitted(device="cuda"),
        RuntimeError,
        "device='auto'",
    ),
    "half a model file": (half_a_model, ValueError, "damaged"),
    "a pickle as model": (a_pickle, ValueError, "zip or pickle"),
    "a model as graph": (
        lambda d: GeneGraph.load(d.file("graph.npz", "not a graph")),
        ValueError,
        "graph",
    ),
    "edge to nowhere": (
        lambda d: GeneGraph(["A", "B"], [[0], [2]]),
        ValueError,
        "2",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_clearly(name, tmp_path, adata, graph):
    if name == "no CUDA" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    mistake, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        mistake(Desk(tmp_path, adata, graph))
