"""What an inspection is asked to look at, and how the lines to type are written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genegraph.expression import source_of

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class Asked:
    """The arguments of :func:`genegraph.inspect`."""

    adata: "AnnData"
    graph: Any
    labels: str | None
    batch: str | None
    layer: str | None
    values: str
    depth: str | None

    @property
    def place(self) -> str:
        """The matrix looked at, as it is typed."""
        return source_of(self.adata, self.layer)

    @property
    def loaded(self) -> str:
        """What comes before a line that needs the values in memory."""
        return "adata = adata.to_memory(); " if self.adata.isbacked else ""

    def fit_line(self, **changes: str | None) -> str:
        """The line that fits, with other labels, groups or layer."""
        said = {"labels": self.labels, "groups": self.batch, "layer": self.layer} | changes
        labels = said.pop("labels") or "cell_type"
        options = "".join(
            f", {name}={value!r}" for name, value in said.items() if value is not None
        )
        return f"model.fit(adata, {labels!r}{options})"

    def model_line(self, **changes: str | None) -> str:
        """The line that makes the model, with other settings; ``graph=None`` leaves it out."""
        graph = ["graph"] if changes.pop("graph", self.graph) is not None else []
        said = {"values": self.values, "depth": self.depth} | changes
        default = {"values": "auto", "depth": None}
        options = [f"{name}={value!r}" for name, value in said.items() if value != default[name]]
        return f"model = GeneGCNClassifier({', '.join(graph + options)})"
