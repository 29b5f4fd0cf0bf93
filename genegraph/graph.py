"""A graph of interactions between genes: who interacts with whom, and how strongly."""

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genegraph.edges import check_edges, check_genes, coalesce, count_neighbors, mirrored
from genegraph.graph_build import (
    OUTSIDE,
    check_table,
    match_genes,
    number_pairs,
)
from genegraph.graph_controls import in_core, random_pairs
from genegraph.graph_convert import networkx_edges, plain_json
from genegraph.graph_io import read_graph, write_graph
from genegraph.graph_report import (
    GraphReport,
    check_steps,
    count_dropped,
    count_matched,
    graph_steps,
)
from genegraph.normalize import Normalization, check_normalization, normalize_edges
from genegraph.rewire import rewire_pairs, shared_pairs

if TYPE_CHECKING:
    import networkx as nx
    from torch_geometric import EdgeIndex
    from torch_geometric.data import Data

_DONE = {
    "rewire": "rewired",
    "randomize": "randomized",
    "thin": "thinned",
    "k_core": "cut",
    "to_interactions": "listed",
}

RandomState = int | np.random.Generator | np.random.RandomState | None


class GeneGraph:
    r"""Genes, the edges between them and a weight for every edge; it never changes.

    The graph is the sparse matrix :math:`A` with

    .. math::
        A_{ij} = w_e \quad \text{for the edge } e \text{ from source } j \text{ to target } i,

    and zero where there is no edge.  An undirected interaction is stored in
    both directions.  Every method returns a new graph; the tensors are copies
    of what was passed in, and the graph hands out its own, so do not write to
    them.  Two graphs are equal if genes, edges, weights and normalisation are.

    Args:
        genes: Names of the genes, unique, in the order of the nodes.
        edge_index: Source (row 0) and target (row 1) of every edge, as
            positions in ``genes``.  Edges listed twice are merged and get the
            larger weight; self-loops are allowed.
        edge_weight: Finite weights of at least 0; ones if left out.
        provenance: Where the interactions come from; anything JSON can hold.

    Attributes:
        genes: The names, a tuple of strings.
        edge_index: The edges (int64), sorted by target, then source.
        edge_weight: Their weights (float32).

    Shapes:
        - ``edge_index``: ``(2, num_stored_edges)``
        - ``edge_weight``: ``(num_stored_edges,)``

    Raises:
        TypeError: If genes are not strings or ``edge_index`` not integers.
        ValueError: If genes are not unique, or edges or weights are not valid.

    Example:
        >>> graph = GeneGraph(["TP53", "MDM2", "INS"], [[0, 1], [1, 0]], [0.9, 0.9])
        >>> graph
        GeneGraph(3 genes, 1 edges, 2 interacting)
        >>> graph.normalize("sym").edge_weight
        tensor([1., 1.])
    """

    genes: tuple[str, ...]
    edge_index: Tensor
    edge_weight: Tensor

    def __init__(
        self,
        genes: Iterable[str],
        edge_index: Any,
        edge_weight: Any = None,
        *,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        names = check_genes(genes)
        edges = coalesce(*check_edges(edge_index, edge_weight, len(names)), len(names))
        vars(self).update(
            genes=names,
            edge_index=edges[0],
            edge_weight=edges[1],
            _provenance=plain_json({} if provenance is None else provenance),
            _normalization=None,
        )

    @classmethod
    def from_interactions(
        cls, table: pd.DataFrame, genes: Iterable[str] | None = None
    ) -> "GeneGraph":
        """Builds the undirected graph of a table of interactions.

        Args:
            table: One row per interaction, with the columns ``gene_a``,
                ``gene_b`` and ``score`` (0 to 1; a score of 0 is no edge).
                ``table.attrs`` becomes the provenance.
            genes: The genes to build the graph for, for example
                ``adata.var_names``; other interactions are dropped and genes
                without any are isolated nodes.  If left out, all genes of the
                table in alphabetical order.

        Raises:
            TypeError: If ``table`` is not a DataFrame or ``genes`` not strings.
            ValueError: If the table lacks a column or holds unusable values,
                if ``genes`` are not unique, or if none of them is in the table.

        Warns:
            UserWarning: If fewer than one in ten of ``genes`` are in the table.

        Example:
            >>> table = pd.DataFrame({
            ...     "gene_a": ["TP53", "TP53", "INS"],
            ...     "gene_b": ["MDM2", "ATM", "IGF1"],
            ...     "score": [0.99, 0.95, 0.9],
            ... })
            >>> GeneGraph.from_interactions(table)
            GeneGraph(5 genes, 3 edges, 5 interacting)
            >>> GeneGraph.from_interactions(table, genes=["MDM2", "TP53", "CD3D"])
            GeneGraph(3 genes, 1 edges, 2 interacting)
        """
        first, second, score = check_table(table)
        table_genes = sorted({*first, *second})
        names = check_genes(table_genes if genes is None else genes)
        step: dict[str, Any] = {"step": "from_interactions", "rows": len(table)}
        if genes is not None:
            step["genes_matched"] = match_genes(names, table_genes, "the interactions")
        pairs, weight, step["dropped"] = number_pairs(first, second, score, names)
        graph = cls(
            names,
            *_both_ways(pairs, weight),
            provenance={str(key): value for key, value in table.attrs.items()},
        )
        return graph._with_step(step)

    @classmethod
    def from_networkx(cls, g: "nx.Graph", *, weight: str = "weight") -> "GeneGraph":
        """Builds a graph from networkx, whose nodes are named like genes.

        Of parallel edges the one with the largest weight counts.

        Args:
            g: A graph of any networkx kind; nodes that are not strings are
                named by ``str``.
            weight: Name of the edges' weight; edges without it weigh 1.

        Raises:
            TypeError: If ``g`` is not a networkx graph.
            ValueError: If node names collide or weights are not valid.

        Example:
            >>> import networkx as nx
            >>> GeneGraph.from_networkx(nx.DiGraph([("MYC", "CDK4")]))
            GeneGraph(2 genes, 1 edges, 2 interacting, directed)
        """
        import networkx as nx

        if not isinstance(g, nx.Graph):
            raise TypeError(f"'g' must be a networkx graph (got {type(g).__name__}).")
        index, value = networkx_edges(g, weight)
        if not g.is_directed():
            index, value = _both_ways(index, value)
        return cls([str(node) for node in g], index, value, provenance={"source": "networkx"})

    @staticmethod
    def combine(a: "GeneGraph", b: "GeneGraph", how: Literal["max", "mean"] = "max") -> "GeneGraph":
        r"""Joins two graphs over all genes of either, edge by edge.

        .. math::
            A_{ij} = \max(A^{(a)}_{ij}, A^{(b)}_{ij}) \quad \text{or} \quad
            A_{ij} = \tfrac12 (A^{(a)}_{ij} + A^{(b)}_{ij}),

        where an edge that one of them lacks counts as 0.

        Args:
            a: First graph; its genes come first, in their order.
            b: Second graph; its other genes follow, in their order.
            how: ``"max"`` or ``"mean"``.

        Raises:
            TypeError: If one of them is not a GeneGraph.
            ValueError: If ``how`` is unknown or a graph is normalised already.

        Example:
            >>> a = GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.8, 0.8])
            >>> b = GeneGraph(["B", "C"], [[0, 1], [1, 0]], [0.4, 0.4])
            >>> both = GeneGraph.combine(a, b, how="mean")
            >>> both.genes, both.edge_weight
            (('A', 'B', 'C'), tensor([0.4000, 0.4000, 0.2000, 0.2000]))
        """
        if how not in ("max", "mean"):
            raise ValueError(f"'how' must be 'max' or 'mean' (got {how!r}).")
        for name, graph in (("a", a), ("b", b)):
            if not isinstance(graph, GeneGraph):
                raise TypeError(f"'{name}' must be a GeneGraph (got {type(graph).__name__}).")
            graph._refuse_normalized("be combined")
        names = tuple(dict.fromkeys(a.genes + b.genes))
        index = torch.cat([a.edge_index, _places(b.genes, names)[b.edge_index]], dim=1)
        weight = torch.cat([a.edge_weight, b.edge_weight])
        if how == "mean":
            index, weight = coalesce(index, weight / 2, len(names), reduce="sum")
        provenance = {"combined": [a.provenance, b.provenance]}
        graph = GeneGraph(names, index, weight, provenance=provenance)
        return graph._with_step({"step": "combine", "how": how})

    @property
    def num_genes(self) -> int:
        """Number of genes, with or without edges."""
        return len(self.genes)

    @property
    def num_edges(self) -> int:
        """Number of edges between two different genes.

        An undirected graph counts each pair once, although both directions are
        stored; a directed one counts every direction.  Self-loops do not count.
        """
        stored = self.edge_weight.numel() - self.num_self_loops
        return stored // 2 if self.is_undirected else stored

    @property
    def num_self_loops(self) -> int:
        """Number of edges from a gene to itself."""
        return int((self.edge_index[0] == self.edge_index[1]).sum())

    @cached_property
    def is_undirected(self) -> bool:
        """Whether every edge has its reverse, of the same weight.

        After ``normalize("row")`` the two weights differ by construction, and
        only the edges have to be there.
        """
        by_row = (self._normalization or {}).get("method") == "row"
        weight = None if by_row else self.edge_weight
        return mirrored(self.edge_index, weight, self.num_genes)

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the interactions come from and what was done to them (a copy)."""
        return copy.deepcopy(self._provenance)

    @property
    def normalization(self) -> dict[str, Any] | None:
        """The arguments of :meth:`normalize`, or None if it was not called (a copy)."""
        return copy.deepcopy(self._normalization)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of genes, edges, weights and normalisation, in hexadecimal.

        The provenance is not part of it: equal graphs may have different stories.
        """
        names = json.dumps([self.genes, self._normalization], sort_keys=True).encode()
        digest = hashlib.sha256(f"{len(names)},{self.edge_weight.numel()};".encode() + names)
        digest.update(self.edge_index.numpy().astype("<i8").tobytes())
        digest.update(self.edge_weight.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def align(self, genes: Iterable[str]) -> "GeneGraph":
        """Returns the graph over exactly these genes, in this order.

        Genes the graph does not know become isolated nodes; edges to genes
        left out are dropped.  A normalised graph can only be put into another
        order, since its weights depend on all of its edges.

        Args:
            genes: Names of the genes, for example ``adata.var_names``.

        Raises:
            TypeError: If ``genes`` does not hold strings.
            ValueError: If ``genes`` are not unique, if the graph has none of
                them, or if it is normalised and would gain or lose genes.

        Warns:
            UserWarning: If fewer than one in ten of ``genes`` are in the graph.

        Example:
            >>> graph = GeneGraph(["A", "B", "C"], [[0, 1], [1, 2]])
            >>> graph.align(["C", "B", "new"]).edge_index
            tensor([[1],
                    [0]])
        """
        names = check_genes(genes)
        if set(names) != set(self.genes):
            self._refuse_normalized("gain or lose genes")
        matched = match_genes(names, self.genes, "the graph")
        index = _places(self.genes, names)[self.edge_index]
        keep = (index >= 0).all(dim=0)
        lost = int((~keep & (self.edge_index[0] != self.edge_index[1])).sum())
        dropped = lost // 2 if self.is_undirected else lost
        step: dict[str, Any] = {"step": "align", "genes_matched": matched}
        step["dropped"] = {OUTSIDE: dropped} if dropped else {}
        return self._replace(names, index[:, keep], self.edge_weight[keep])._with_step(step)

    def interacting(self) -> "GeneGraph":
        """Returns the graph of those genes that have an edge to another gene.

        Raises:
            ValueError: If there is no such gene.

        Example:
            >>> GeneGraph(["A", "B", "C"], [[0, 1], [1, 0]]).interacting().genes
            ('A', 'B')
        """
        keep = self._degree > 0
        if not bool(keep.any()):
            raise ValueError(
                f"None of the {self.num_genes:,} genes has an edge to another gene; "
                "look at report() for what was dropped."
            )
        names = [self.genes[i] for i in keep.nonzero()[:, 0].tolist()]
        inside = keep[self.edge_index[0]]  # the other end of such an edge is kept as well
        index = _places(self.genes, names)[self.edge_index[:, inside]]
        step = {"step": "interacting", "isolated_dropped": self.num_genes - len(names)}
        return self._replace(names, index, self.edge_weight[inside])._with_step(step)

    def normalize(self, method: Normalization | None, self_loops: bool = False) -> "GeneGraph":
        r"""Returns the graph with scaled weights, as a layer wants them.

        Self-loops of the graph itself are removed first.  See
        :func:`genegraph.normalize.normalize_edges` for the equations.

        Args:
            method: ``"max"`` divides by the largest weight; ``"sym"`` by the
                root of both genes' degrees; ``"row"`` makes the weights that
                arrive at a gene sum to 1; None leaves the weights.
            self_loops: Whether every gene gets an edge of weight 1 to itself
                (before ``"sym"`` and ``"row"``, whose largest other weight is
                then 1 as well).

        Raises:
            ValueError: If ``method`` is unknown or the graph is normalised already.

        Example:
            >>> graph = GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.8, 0.8])
            >>> graph.normalize("max", self_loops=True)
            GeneGraph(2 genes, 1 edges, 2 interacting, normalize='max', self_loops=True)
        """
        if self._normalization is not None:
            raise ValueError(
                f"The graph is already normalised (got {self!r}); normalise it once, last: go "
                "back to the graph as it was."
            )
        edges = normalize_edges(
            self.edge_index, self.edge_weight, self.num_genes, method, self_loops
        )
        done = {"method": method, "self_loops": bool(self_loops)}
        return self._replace(self.genes, *edges, normalization=done)

    def rewire(self, random_state: RandomState = None) -> "GeneGraph":
        """Returns the honest control: the same degrees, the wrong neighbours.

        Random pairs of edges swap their ends, about ten times per edge [1]_.
        Every gene keeps its number of neighbours and every edge its weight;
        self-loops stay.  The share of edges found in both graphs is noted in
        ``provenance`` as ``overlap``.

        Args:
            random_state: Seed or generator; with the same seed comes the same graph.

        Raises:
            ValueError: If the graph is directed, or normalised by degree.

        Warns:
            UserWarning: If more than half of the edges are in both graphs, as
                in a graph too small or too dense to be rewired.

        Example:
            >>> import networkx as nx
            >>> ring = GeneGraph.from_networkx(nx.cycle_graph(60))
            >>> ring.rewire(random_state=0)
            GeneGraph(60 genes, 60 edges, 60 interacting)

        References:
            .. [1] Maslov & Sneppen, "Specificity and Stability in Topology of
               Protein Networks", Science 296, 2002.
        """
        pairs, weight = self._pairs("rewire")
        after = rewire_pairs(pairs, self.num_genes, np.random.default_rng(random_state))
        return self._control("rewire", after, weight, random_state, compared_with=pairs)

    def randomize(self, random_state: RandomState = None) -> "GeneGraph":
        """Returns a random graph of the same size: neither neighbours nor degrees are kept.

        The same number of edges, with the same weights, between pairs drawn uniformly from the
        genes that interact.  ``rewire`` is the stricter control, which keeps the degrees.

        Args:
            random_state: Seed or generator; with the same seed comes the same graph.

        Raises:
            ValueError: If the graph is directed, or normalised by degree.

        Warns:
            UserWarning: If more than half of the edges are in both graphs.

        Example:
            >>> import networkx as nx
            >>> star = GeneGraph.from_networkx(nx.star_graph(60))
            >>> star.report().degree_max, star.randomize(random_state=0).report().degree_max < 10
            (60, True)
        """
        pairs, weight = self._pairs("randomize")
        drawn = random_pairs(pairs, self.num_genes, np.random.default_rng(random_state))
        return self._control("randomize", drawn, weight, random_state, compared_with=pairs)

    def thin(self, share: float, random_state: RandomState = None) -> "GeneGraph":
        """Returns the graph with a random share of its edges; genes that lose all stay, isolated.

        Args:
            share: Share of the edges to keep, in 0 .. 1; at 1 nothing changes.
            random_state: Seed or generator.  With the same seed a smaller share keeps a subset
                of a larger one's edges.

        Raises:
            ValueError: If ``share`` is not in 0 .. 1, or the graph is directed or normalised by
                degree.

        Example:
            >>> import networkx as nx
            >>> GeneGraph.from_networkx(nx.cycle_graph(60)).thin(0.5, random_state=0).num_edges
            30
        """
        if not 0 <= share <= 1:
            raise ValueError(f"'share' must lie in 0 .. 1 (got {share!r}).")
        pairs, weight = self._pairs("thin")
        order = np.random.default_rng(random_state).permutation(pairs.shape[1])
        kept = np.sort(order[: round(share * pairs.shape[1])])
        return self._control("thin", pairs[:, kept], weight[kept], random_state, share=share)

    def k_core(self, k: int) -> "GeneGraph":
        """Returns the graph without the edges of low-degree genes, which stay, isolated.

        Genes with fewer than ``k`` neighbours lose their edges, again and again, until every
        gene that still has one has ``k``.

        Args:
            k: Smallest number of neighbours; at 1 nothing changes.

        Raises:
            ValueError: If ``k`` is less than 1, if no gene is left, or if the graph is directed
                or normalised by degree.

        Example:
            >>> import networkx as nx
            >>> GeneGraph.from_networkx(nx.lollipop_graph(4, 3)).k_core(2)
            GeneGraph(7 genes, 6 edges, 4 interacting)
        """
        if k < 1:
            raise ValueError(f"'k' must be at least 1 (got {k!r}).")
        pairs, weight = self._pairs("k_core")
        kept = in_core(pairs, self.num_genes, k)
        if not kept.any():
            raise ValueError(
                f"No gene has {k} neighbours that have {k} themselves, so the {k}-core is empty; "
                "choose a smaller 'k'."
            )
        return self._control("k_core", pairs[:, kept], weight[kept], k=k)

    def report(self) -> GraphReport:
        """Returns what became of the genes and interactions, to print or to store.

        Example:
            >>> print(GeneGraph(["A", "B", "C"], [[0, 1], [1, 0]]).report())
            2 of 3 genes interact
              genes    1 isolated
              edges    1 kept
              degree   1 to 1, median 1 (of the interacting genes)
        """
        degree = self._degree[self._degree > 0].numpy()
        return GraphReport(
            genes=self.num_genes,
            genes_matched=count_matched(self._provenance),
            interacting=degree.size,
            isolated=self.num_genes - degree.size,
            edges_kept=self.num_edges,
            edges_dropped=count_dropped(self._provenance),
            self_loops=self.num_self_loops,
            degree_min=int(degree.min()) if degree.size else 0,
            degree_median=float(np.median(degree)) if degree.size else 0.0,
            degree_max=int(degree.max()) if degree.size else 0,
            directed=not self.is_undirected,
            normalization=self.normalization,
            provenance=self.provenance,
        )

    def to_edge_index(self) -> "EdgeIndex":
        r"""Returns the edges as a PyG ``EdgeIndex`` in which nothing is left to sort.

        It is sorted by target, and the row pointers of the matrix and of its
        transpose are filled in.  It is made once and shared by all callers.

        Example:
            One step along the edges, :math:`A x` for a column of :math:`x` per cell:

            >>> graph = GeneGraph(["A", "B"], [[0], [1]], [0.5])
            >>> x = torch.tensor([[2.0], [0.0]])
            >>> graph.to_edge_index().matmul(x, graph.edge_weight, transpose=True)
            tensor([[0.],
                    [1.]])
        """
        return self._edge_index_cache

    def to_data(self) -> "Data":
        """Returns a PyG ``Data`` with copies of the edges, and the names as ``genes``.

        Example:
            >>> GeneGraph(["A", "B"], [[0], [1]]).to_data()
            Data(edge_index=[2, 1], edge_weight=[1], num_nodes=2, genes=[2])
        """
        from torch_geometric.data import Data

        return Data(
            edge_index=self.edge_index.clone(),
            edge_weight=self.edge_weight.clone(),
            num_nodes=self.num_genes,
            genes=list(self.genes),
        )

    def to_interactions(self) -> pd.DataFrame:
        """Returns each edge between two genes once, as :meth:`from_interactions` takes them.

        Returns:
            A table of ``gene_a``, ``gene_b`` (``gene_a < gene_b``) and ``score``, the weight,
            sorted by pair. Genes without an edge and self-loops are not in it.

        Raises:
            ValueError: If the graph is directed, or its weights are scaled by degrees.

        Example:
            >>> GeneGraph(["B", "A"], [[0, 1], [1, 0]], [0.5, 0.5]).to_interactions()
              gene_a gene_b  score
            0      A      B    0.5
        """
        pairs, weight = self._pairs("to_interactions")
        names = np.sort(np.array(self.genes, dtype=object)[pairs], axis=0)
        table = pd.DataFrame({"gene_a": names[0], "gene_b": names[1], "score": weight})
        return table.sort_values(["gene_a", "gene_b"], ignore_index=True)

    def to_networkx(self) -> "nx.Graph":
        """Returns a networkx graph of all genes, with ``weight`` on every edge.

        It is an ``nx.Graph`` if both directions have the same weight and an
        ``nx.DiGraph`` otherwise, also after ``normalize("row")``.

        Example:
            >>> graph = GeneGraph(["A", "B"], [[0, 1], [1, 0]], [0.5, 0.5])
            >>> print(graph.to_networkx())
            Graph with 2 nodes and 1 edges
        """
        import networkx as nx

        same = mirrored(self.edge_index, self.edge_weight, self.num_genes)
        g = nx.Graph() if same else nx.DiGraph()
        g.add_nodes_from(self.genes)
        source, target = ([self.genes[i] for i in row] for row in self.edge_index.tolist())
        g.add_weighted_edges_from(zip(source, target, self.edge_weight.tolist(), strict=True))
        return g

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the graph to one ``.npz`` file, whole or not at all.

        Args:
            path: Where to write; taken as it is.

        Raises:
            OSError: If the file cannot be written.

        Example:
            >>> import tempfile
            >>> graph = GeneGraph(["A", "B"], [[0, 1], [1, 0]])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     graph.save(f"{folder}/graph.npz")
            ...     GeneGraph.load(f"{folder}/graph.npz") == graph
            True
        """
        header = self.to_state()
        arrays = {name: header.pop(name).numpy() for name in ("edge_index", "edge_weight")}
        write_graph(path, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "GeneGraph":
        """Reads a graph that :meth:`save` wrote, and checks that it is the same.

        Args:
            path: File to read.

        Raises:
            OSError: If the file cannot be opened.
            ValueError: If it is not a graph file, is damaged or was changed, or
                comes from a newer version.
        """
        dtypes = {"edge_index": "int64", "edge_weight": "float32"}
        arrays, header = read_graph(path, dtypes)
        try:
            return cls.from_state({**header, **arrays})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: damaged or changed ({error}); make it again.") from error

    def to_state(self) -> dict[str, Any]:
        """Returns everything the graph is, as plain values and two tensors, for storing."""
        return {
            "genes": list(self.genes),
            "edge_index": self.edge_index,
            "edge_weight": self.edge_weight,
            "normalization": self._normalization,
            "provenance": self._provenance,
            "content_hash": self.content_hash,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "GeneGraph":
        """Builds the graph that :meth:`to_state` took apart.

        Raises:
            ValueError: If the parts are not valid or not those of the original.
        """
        graph = cls(
            state["genes"],
            state["edge_index"],
            state["edge_weight"],
            provenance=state["provenance"],
        )
        vars(graph)["_normalization"] = state["normalization"]
        if graph.content_hash != state["content_hash"]:
            raise ValueError("its content does not match its checksum")
        check_normalization(state["normalization"])
        check_steps(graph._provenance)
        return graph

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GeneGraph):
            return NotImplemented
        return self is other or self.content_hash == other.content_hash

    def __hash__(self) -> int:
        return hash(self.content_hash)

    def __repr__(self) -> str:
        num_interacting = int((self._degree > 0).sum())
        parts = [
            f"{self.num_genes} genes, {self.num_edges} edges, {num_interacting} interacting",
            *([] if self.is_undirected else ["directed"]),
        ]
        if self._normalization is not None:
            parts.append(f"normalize={self._normalization['method']!r}")
            parts += ["self_loops=True"] if self._normalization["self_loops"] else []
        return f"GeneGraph({', '.join(parts)})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{name!r} cannot be set: a GeneGraph never changes; its methods return new graphs."
        )

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} cannot be deleted: a GeneGraph never changes.")

    def __copy__(self) -> "GeneGraph":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "GeneGraph":
        return self  # as for a tuple of strings: what never changes can be shared

    def __getstate__(self) -> dict[str, Any]:
        kept = ("genes", "edge_index", "edge_weight", "_provenance", "_normalization")
        return {name: vars(self)[name] for name in kept}

    _provenance: dict[str, Any]
    _normalization: dict[str, Any] | None

    @cached_property
    def _degree(self) -> Tensor:
        return count_neighbors(self.edge_index, self.num_genes)

    @cached_property
    def _edge_index_cache(self) -> "EdgeIndex":
        from torch_geometric import EdgeIndex

        return EdgeIndex(
            self.edge_index,
            sparse_size=(self.num_genes, self.num_genes),
            sort_order="col",
            is_undirected=mirrored(self.edge_index, None, self.num_genes),
        ).fill_cache_()

    def _replace(
        self,
        genes: Iterable[str],
        edge_index: Any,
        edge_weight: Any,
        normalization: dict[str, Any] | None = None,
    ) -> "GeneGraph":
        graph = GeneGraph(genes, edge_index, edge_weight, provenance=self._provenance)
        vars(graph)["_normalization"] = normalization or self._normalization
        return graph

    def _with_step(self, step: dict[str, Any]) -> "GeneGraph":
        # Only for a graph that nobody else has seen yet.
        self._provenance["graph_steps"] = [*graph_steps(self._provenance), step]
        return self

    def _refuse_normalized(self, action: str) -> None:
        if self._normalization is not None:
            raise ValueError(
                f"A graph can only {action} before it is normalised (got {self!r}); "
                "go back to the graph as it was and call normalize() last, once."
            )

    def _pairs(self, step: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every edge between two genes once, for a control that knows no direction."""
        done = _DONE[step]
        method = (self._normalization or {}).get("method")
        if method in ("sym", "row"):
            raise ValueError(
                f"Only a graph whose weights do not depend on its degrees can be {done} (got "
                f"normalize={method!r}); {step} first, then normalise."
            )
        if not self.is_undirected:
            raise ValueError(
                f"Only an undirected graph can be {done} (got a directed one); "
                "store every edge in both directions with the same weight."
            )
        once = self.edge_index[0] < self.edge_index[1]
        return self.edge_index[:, once].numpy(), self.edge_weight[once].numpy()

    def _control(
        self,
        step: str,
        pairs: NDArray[np.int64],
        weight: NDArray[np.float32],
        random_state: RandomState = None,
        compared_with: NDArray[np.int64] | None = None,
        **settings: float,
    ) -> "GeneGraph":
        """The graph with these edges in place of its own; self-loops stay."""
        loops = self.edge_index[0] == self.edge_index[1]
        index, value = _both_ways(pairs, weight)
        graph = self._replace(
            self.genes,
            np.concatenate([index, self.edge_index[:, loops]], axis=1),
            np.concatenate([value, self.edge_weight[loops]]),
        )
        note: dict[str, Any] = {"step": step, **settings}
        if step != "k_core":  # the one control that draws nothing
            seeded = isinstance(random_state, int | np.integer)
            note["random_state"] = int(random_state) if seeded else None  # type: ignore[arg-type]
        if compared_with is not None:
            note["overlap"] = shared_pairs(pairs, compared_with, self.num_genes)
            if note["overlap"] > 0.5:
                warnings.warn(
                    f"{note['overlap']:.0%} of the edges are the same once {_DONE[step]}: the "
                    "graph is too small or too dense to serve as a control.",
                    stacklevel=3,
                )
        return graph._with_step(note)


def _both_ways(pairs: Any, weight: Any) -> tuple[Any, Any]:
    return np.concatenate([pairs, pairs[::-1]], axis=1), np.tile(weight, 2)


def _places(genes: Iterable[str], among: Iterable[str]) -> Tensor:
    place = {gene: position for position, gene in enumerate(among)}
    return torch.tensor([place.get(gene, -1) for gene in genes])
