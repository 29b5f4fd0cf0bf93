"""The graph, where it came from and what it covers."""

from __future__ import annotations

from typing import Any

from genegraph.graph_report import describe_source, graph_steps
from genegraph.pl import degrees, graph_coverage
from genegraph.report.asked import Asked
from genegraph.report.html import Html, definitions, html, joined, paragraph, picture, section

TITLE = "The graph and its provenance"


def of_graph(asked: Asked) -> Html:
    """Returns the section: genes and edges, source, what was done, coverage, degrees.

    Args:
        asked: The cells and the classifier.
    """
    model = asked.model
    if model.graph_ is None:
        return section("graph", TITLE, paragraph("The classifier was trained without a graph."))
    report = model.graph_.report()
    provenance = report.provenance
    dropped = [f"{count:,} {why}" for why, count in report.edges_dropped.items()]
    facts: dict[str, Any] = {
        "source": describe_source(provenance) or "not said",
        "genes": f"{report.genes:,}, of which {report.interacting:,} have neighbours",
        "matched by name": None if report.genes_matched is None else f"{report.genes_matched:,}",
        "edges": f"{report.edges_kept:,}" + (" (directed)" if report.directed else ""),
        "interactions left out": "; ".join(dropped) or None,
        "neighbours of a gene": f"{report.degree_min:,} to {report.degree_max:,}, median "
        f"{report.degree_median:,g} (of those that have some)",
        "scaling": ", ".join(f"{k} {v}" for k, v in (report.normalization or {}).items()) or "none",
        "steps": joined_steps(graph_steps(provenance)),
        "SHA-256 of the graph in use": model.graph_.content_hash,
    }
    told = {k: v for k, v in provenance.items() if k != "graph_steps"}
    pictures = [picture(degrees(model), "Neighbours of each gene in the graph.")]
    if model.values_ != "features":
        of = asked.named if asked.labels is None else asked.labels
        cover = graph_coverage(model, asked.adata, of, layer=asked.layer)
        pictures.insert(0, picture(cover, "What the graph says something about."))
    provenance_list = nested(told)
    return section(
        "graph",
        TITLE,
        definitions(facts),
        Html("<h3>Provenance</h3>") if told else "",
        provenance_list if told else "",
        *pictures,
    )


def joined_steps(steps: list[dict[str, Any]]) -> str | None:
    """Returns what was done to a graph, in words."""
    said = []
    for step in steps:
        others = [f"{k} {v}" for k, v in step.items() if k not in ("step", "dropped")]
        said.append(str(step["step"]) + (f" ({', '.join(others)})" if others else ""))
    return ", then ".join(said) or None


def nested(value: Any) -> Html:
    """Returns what JSON can hold as lists within lists."""
    if isinstance(value, dict):
        return definitions({str(name): nested(part) for name, part in value.items()})
    if isinstance(value, list):
        return Html("<ul>" + joined(Html(f"<li>{nested(part)}</li>") for part in value) + "</ul>")
    return html(value)
