"""Draws the figures of ``pictures.md``, on the blood cells that come with scanpy.

python docs/pictures_figures.py
"""

from pathlib import Path

from sklearn.model_selection import train_test_split

import genegraph as gg
from genegraph import GeneGCNClassifier, GeneGraph, explain
from genegraph.datasets import complexes, pbmc

FOLDER = Path(__file__).parent / "figures"


def main(folder: Path = FOLDER, max_epochs: int | None = None) -> None:
    """Draws all of them into a folder; the same come again, as the seeds are fixed."""
    cells = pbmc()
    train, test = train_test_split(
        range(cells.n_obs), test_size=0.3, stratify=cells.obs["cell_type"], random_state=0
    )
    reference, query = cells[train].copy(), cells[test].copy()
    graph = GeneGraph.from_interactions(complexes(), genes=cells.var_names)
    options = {"values": "log1p", "random_state": 0, "verbose": False, "max_epochs": max_epochs}
    model = GeneGCNClassifier(graph, **options).fit(reference, "cell_type")
    model.annotate(query, max_novelty=0.95)
    edges = explain.edge_importance(model, query, steps=8)
    listening = GeneGCNClassifier(graph, attention="full", gene_aware=True, **options)
    listening.fit(reference, "cell_type")
    learned = explain.attention(listening, query, max_cells=5)
    draw = {
        "history": lambda save: gg.pl.history(model, save=save),
        "confusion": lambda save: gg.pl.confusion(
            query.obs["cell_type"], model.predict(query), save=save
        ),
        "reliability": lambda save: gg.pl.reliability(model, save=save),
        "coverage": lambda save: gg.pl.coverage(model, save=save),
        "umap": lambda save: gg.pl.umap(query, save=save),
        "novelty": lambda save: gg.pl.umap(query, color="novelty", save=save),
        "subnetwork": lambda save: gg.pl.subnetwork(
            edges, "CD56+ NK", query, key="cell_type", top=20, save=save
        ),
        "attention": lambda save: gg.pl.attention(learned[learned["class"] == "all"], save=save),
        "graph_coverage": lambda save: gg.pl.graph_coverage(graph, query, "cell_type", save=save),
        "degrees": lambda save: gg.pl.degrees(graph, save=save),
    }
    for name, picture in draw.items():
        picture(folder / f"picture-{name}.png")


if __name__ == "__main__":
    main()
