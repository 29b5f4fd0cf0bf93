"""The classifier in scikit-learn: scores over held-out donors, and a search among settings.

Run it with ``python examples/scikit_learn.py``; the cells are simulated, and nothing is downloaded.
"""

import tempfile

import anndata
import numpy as np
import pandas as pd
import sklearn
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from genegraph import GeneGCNClassifier, GeneGraph, read_stringdb
from genegraph.datasets import simulate

STUDY = {"n_cells": 400, "n_genes": 600, "n_interacting": 240, "n_types": 4, "n_modules": 8}
STUDY |= {"n_hidden": 4, "effect": 0.6, "zeros": 0.9, "verbose": False}


def read_study() -> tuple[anndata.AnnData, GeneGraph]:
    """Simulates cells of four donors, and reads their graph."""
    with tempfile.TemporaryDirectory() as folder:
        files = simulate(f"{folder}/study", **STUDY)
        cells = anndata.read_h5ad(files.cells)
        links = read_stringdb(files.links, files.info, min_score=700)
    cells.obs["donor"] = [f"donor {number % 4}" for number in range(cells.n_obs)]
    return cells, GeneGraph.from_interactions(links, genes=cells.var_names)


def main(max_epochs: int = 20) -> tuple[np.ndarray, pd.DataFrame]:
    """Prints and returns the accuracy of each held-out fold, and of each setting."""
    cells, graph = read_study()
    labels, donors = cells.obs["cell_type"], cells.obs["donor"]
    model = GeneGCNClassifier(graph, max_epochs=max_epochs, random_state=0, verbose=False)

    # An AnnData is split like an array. With routing, 'groups' reach the folds and fit alike:
    # whole donors are tested, and inside fit whole donors calibrate the probabilities.
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(groups=True)
        scores = cross_val_score(model, cells, labels, cv=GroupKFold(4), params={"groups": donors})
    print("held-out donors:", scores.round(3))

    # Without routing 'groups' decide the folds alone. A graph is a setting like any other.
    search = GridSearchCV(
        GeneGCNClassifier(max_epochs=max_epochs, random_state=0, verbose=False),
        {"graph": [graph, graph.rewire(random_state=0), None]},
        cv=GroupKFold(2),
    )
    search.fit(cells, labels, groups=donors)
    table = pd.DataFrame(
        {
            "graph": ["real", "rewired", "none"],
            "accuracy": search.cv_results_["mean_test_score"],
        }
    )
    print(table.round(3).to_string(index=False))
    return scores, table


if __name__ == "__main__":
    main()
