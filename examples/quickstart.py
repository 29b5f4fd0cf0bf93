"""From cells and a gene graph to cell types, with nothing to download.

Run it with ``python examples/quickstart.py`` after ``pip install "genegraph[demo]"``.
"""

from sklearn.model_selection import train_test_split

from genegraph import GeneGCNClassifier, GeneGraph
from genegraph.datasets import complexes, pbmc


def main(max_epochs: int | None = None) -> float:
    """Trains on 490 cells, labels 210 others and returns the share of right labels."""
    cells = pbmc()
    train, test = train_test_split(
        range(cells.n_obs), test_size=0.3, stratify=cells.obs["cell_type"], random_state=0
    )
    reference, query = cells[train].copy(), cells[test].copy()

    # The built-in complexes stand in for STRING; with a download it would be
    # read_stringdb("9606.protein.links.v12.0.txt.gz", "9606.protein.info.v12.0.txt.gz").
    graph = GeneGraph.from_interactions(complexes(), genes=cells.var_names)
    print(graph.report())

    # Easy to forget: say what the values are if they are not plain counts.
    model = GeneGCNClassifier(graph, values="log1p", max_epochs=max_epochs, random_state=0)
    model.fit(reference, "cell_type")
    accuracy = model.score(query, "cell_type")
    print(f"{accuracy:.1%} of {query.n_obs} held-out cells are labelled right")

    model.annotate(query)  # writes into query.obs and query.obsm
    print(query.obs[["cell_type", "genegraph", "genegraph_confidence"]].head().to_string())
    return accuracy


if __name__ == "__main__":
    main()
