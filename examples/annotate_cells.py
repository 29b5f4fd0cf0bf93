r"""Learns cell types from a labelled .h5ad and writes them into an unlabelled one.

The STRING files come from https://string-db.org/cgi/download (choose the organism first):

    python examples/annotate_cells.py 9606.protein.links.v12.0.txt.gz \
        9606.protein.info.v12.0.txt.gz reference.h5ad query.h5ad annotated.h5ad --labels cell_type
"""

import argparse
from collections.abc import Sequence

from anndata import AnnData, read_h5ad

from genegraph import GeneGCNClassifier, GeneGraph, read_stringdb


def main(argv: Sequence[str] | None = None) -> AnnData:
    """Reads the files, trains, labels the query's cells, and returns them.

    Args:
        argv: Words of the command line, as in the example above.
    """
    args = parse_arguments(argv)
    reference, query = read_h5ad(args.reference), read_h5ad(args.query)

    table = read_stringdb(args.links, args.info, min_score=args.min_score)
    # Genes are matched by name: both sides must use symbols such as TP53, in the same spelling.
    graph = GeneGraph.from_interactions(table, genes=reference.var_names)
    print(graph.report())

    model = GeneGCNClassifier(graph, max_epochs=args.epochs, random_state=args.seed)
    model.fit(reference, args.labels, groups=args.groups)
    print(f"reference cells, held out in turn: {model.reliability()}")
    # The query may have its genes in another order, and lack some; the model says if too many.
    # Cells too unsure for the error rate asked for are named "unknown".
    model.annotate(query, max_error=args.max_error)
    print(query.obs["genegraph"].value_counts().to_string())

    query.write_h5ad(args.out)
    return query


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Label cells with STRING as prior knowledge.")
    parser.add_argument("links", help="STRING's protein.links")
    parser.add_argument("info", help="STRING's protein.info of the same organism")
    parser.add_argument("reference", help="labelled cells (.h5ad)")
    parser.add_argument("query", help="cells to label (.h5ad)")
    parser.add_argument("out", help="where to write the labelled query (.h5ad)")
    parser.add_argument("--labels", default="cell_type", help="column of the reference's obs")
    parser.add_argument("--groups", help="column of the reference's obs with donor or batch")
    parser.add_argument("--max-error", type=float, help="share of wrong names to accept")
    parser.add_argument("--min-score", type=float, default=700, help="lowest STRING score")
    parser.add_argument("--epochs", type=int, help="passes over the reference cells")
    parser.add_argument("--seed", type=int, default=0, help="random state")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
