"""What became of the genes and interactions on their way into a graph."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class GraphReport:
    """How much of the data the graph covers, as numbers and, printed, as sentences.

    Attributes:
        genes: Genes in the graph (in the data, if it was built or aligned for some).
        genes_matched: How many of them were found by name; None if nothing was matched.
        interacting: Genes with an edge to another gene.
        isolated: Genes without one.
        edges_kept: Edges between two different genes (see ``GeneGraph.num_edges``).
        edges_dropped: Reason -> number of interactions left out for it.
        self_loops: Edges from a gene to itself.
        degree_min: Fewest neighbours of an interacting gene; 0 if there is none.
        degree_median: Median number of neighbours of the interacting genes.
        degree_max: Most neighbours of a gene.
        directed: Whether some edge lacks its reverse.
        normalization: What ``GeneGraph.normalize`` did, or None.
        provenance: Where the interactions come from and what was done to them.

    Example:
        >>> report = GraphReport(
        ...     genes=20499, genes_matched=1900, interacting=1817, isolated=18682,
        ...     edges_kept=5000, edges_dropped={"outside the given genes": 40}, self_loops=0,
        ...     degree_min=1, degree_median=3.0, degree_max=90, directed=False,
        ...     normalization=None, provenance={"source": "STRING", "version": "12.0"},
        ... )
        >>> print(report)
        1,817 of 20,499 genes interact
          genes    1,900 matched by name, 18,682 isolated
          edges    5,000 kept, 40 dropped (outside the given genes)
          degree   1 to 90, median 3 (of the interacting genes)
          source   STRING 12.0
    """

    genes: int
    genes_matched: int | None
    interacting: int
    isolated: int
    edges_kept: int
    edges_dropped: dict[str, int]
    self_loops: int
    degree_min: int
    degree_median: float
    degree_max: int
    directed: bool
    normalization: dict[str, Any] | None
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Returns every field by name, for JSON or a table."""
        return asdict(self)

    def __str__(self) -> str:
        lines = {
            "genes": self._describe_genes(),
            "edges": self._describe_edges(),
            "degree": f"{self.degree_min:,} to {self.degree_max:,}, "
            f"median {self.degree_median:,g} (of the interacting genes)",
            "source": describe_source(self.provenance),
            "history": _describe_steps(self.provenance),
            "scaling": _describe_normalization(self.normalization),
        }
        head = f"{self.interacting:,} of {self.genes:,} genes interact"
        return "\n".join([head, *(f"  {key:<8} {line}" for key, line in lines.items() if line)])

    def _describe_genes(self) -> str:
        isolated = f"{self.isolated:,} isolated"
        if self.genes_matched is None:
            return isolated
        return f"{self.genes_matched:,} matched by name, {isolated}"

    def _describe_edges(self) -> str:
        parts = [f"{self.edges_kept:,} kept{' (directed)' if self.directed else ''}"]
        parts += [f"{count:,} dropped ({why})" for why, count in self.edges_dropped.items()]
        if self.self_loops:
            parts.append(f"{self.self_loops:,} self-loops")
        return ", ".join(parts)


def describe_source(provenance: dict[str, Any]) -> str:
    """Names where a graph comes from in a few words.

    Args:
        provenance: As ``GeneGraph.provenance`` holds it.

    Example:
        >>> describe_source({"combined": [{"source": "STRING"}, {"source": "BioGRID"}]})
        'STRING + BioGRID'
    """
    combined = provenance.get("combined")
    if isinstance(combined, list):
        return " + ".join(describe_source(part) or "unnamed" for part in combined)
    named = [str(provenance[key]) for key in ("source", "version") if provenance.get(key)]
    parts = [" ".join(named)] if named else []
    parts += [f"{key} {provenance[key]}" for key in ("taxon", "file") if provenance.get(key)]
    return ", ".join(parts)


def graph_steps(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """Lists what was done to a graph, oldest first, each with its counts.

    Args:
        provenance: As ``GeneGraph.provenance`` holds it.

    Example:
        >>> graph_steps({"source": "STRING", "graph_steps": [{"step": "align"}]})
        [{'step': 'align'}]
    """
    return [dict(step) for step in provenance.get("graph_steps", [])]


def check_steps(provenance: dict[str, Any]) -> None:
    """Refuses a provenance whose steps cannot be told, as one from a file may be.

    Args:
        provenance: As ``GeneGraph.provenance`` holds it.

    Raises:
        ValueError: If ``graph_steps`` is no list of dicts, or one of them does not count what it
            dropped.

    Example:
        >>> check_steps({"graph_steps": [{"step": "align", "dropped": {"zero": 2}}]})
    """
    steps = provenance.get("graph_steps", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ValueError(f"'graph_steps' must be a list of dicts (got {steps!r:.80})")
    for step in steps:
        dropped = step.get("dropped", {})
        if not isinstance(dropped, dict) or any(type(n) is not int for n in dropped.values()):
            raise ValueError(f"'dropped' must hold counts (got {dropped!r:.80})")


def count_dropped(provenance: dict[str, Any]) -> dict[str, int]:
    """Sums over all steps, per reason, how many interactions were left out.

    Args:
        provenance: As ``GeneGraph.provenance`` holds it.

    Example:
        >>> count_dropped({"graph_steps": [{"dropped": {"zero": 2}}, {"dropped": {"zero": 3}}]})
        {'zero': 5}
    """
    total: dict[str, int] = {}
    for step in graph_steps(provenance):
        for reason, count in step.get("dropped", {}).items():
            total[reason] = total.get(reason, 0) + count
    return total


def count_matched(provenance: dict[str, Any]) -> int | None:
    """Returns how many genes the last match by name found, or None without any.

    Args:
        provenance: As ``GeneGraph.provenance`` holds it.

    Example:
        >>> count_matched({"graph_steps": [{"genes_matched": 9}, {"step": "interacting"}]})
        9
    """
    matches = [step["genes_matched"] for step in graph_steps(provenance) if "genes_matched" in step]
    return matches[-1] if matches else None


def _describe_steps(provenance: dict[str, Any]) -> str:
    """What was done after the graph was first built."""
    return ", ".join(
        step["step"] + (f" ({step['overlap']:.1%} of edges unchanged)" if "overlap" in step else "")
        for step in graph_steps(provenance)
        if step["step"] != "from_interactions"
    )


def _describe_normalization(normalization: dict[str, Any] | None) -> str:
    if normalization is None:
        return ""
    return ", ".join(f"{key} {value}" for key, value in normalization.items())
