"""The systems of the write-up and what it left for later: which classifier each row is.

A row names the row it is compared with; both see the same cells in the same splits.  Every system
is trained the write-up's way: Adam(0.9, 0.999, 1e-8) at 1e-3, batches of 64, two hidden layers.
The weights of the best epoch count, chosen on a tenth of the training cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ALL, INTERACTING = "all", "interacting"


@dataclass(frozen=True)
class Row:
    """One system.

    Attributes:
        name: Its name; results are found by it.
        options: Parameters of the classifier, beyond the write-up's recipe.
        prior: ``"none"``, ``"string"``, or a control: see ``writeup_priors.py``.
        against: Name of the row it is compared with.
        published: Accuracy in the write-up, in percent.
        genes: ``"all"``, or ``"interacting"`` for those with an edge in the prior.
        few_epochs: Train for a tenth of the epochs, to the end: for the pair with batches of one.
        one_split: Vary the initial weights on the first split, this many times.
        shift: Added to the seed of the initial weights.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    prior: str = "none"
    against: str = ""
    published: float | None = None
    genes: str = ALL
    few_epochs: bool = False
    one_split: int = 0
    shift: int = 0


FULL = {"attention": "full", "normalize": "max"}
UNIFORM = {**FULL, "init": "uniform"}

FC = Row("FC", published=51.48)
INDIVIDUAL = Row("GCN, individual graph alone", UNIFORM, against=FC.name, published=52.36)
NORMALISED = Row(
    "GCN, normalised graph", UNIFORM, "string", against=INDIVIDUAL.name, published=53.1
)
DIAGONAL = Row(
    "GCN, normalised diagonal graph",
    {**UNIFORM, "self_loops": True},
    "string",
    against=NORMALISED.name,
    published=51.73,
)
ALIVE = "W at its absolute value"
INDIVIDUAL_ALIVE = Row(f"GCN, individual graph alone, {ALIVE}", FULL, against=FC.name)
NORMALISED_ALIVE = Row(
    f"GCN, normalised graph, {ALIVE}", FULL, "string", against=INDIVIDUAL_ALIVE.name
)

WRITEUP = [
    FC,
    Row("FC again, other initial weights", against=FC.name, published=52.36, shift=1000),
    Row("FC, autoencoder, fine-tuned", {"pretrain": True}, against=FC.name, published=48.68),
    Row("FC, autoencoder, frozen", {"pretrain": "frozen"}, against=FC.name, published=48.68),
    INDIVIDUAL,
    NORMALISED,
    DIAGONAL,
    Row(
        "FC, interacting genes",
        genes=INTERACTING,
        against=FC.name,
        published=49.98,
    ),
    Row(
        "GCN, individual graph alone, interacting genes",
        UNIFORM,
        genes=INTERACTING,
        against=INDIVIDUAL.name,
        published=49.98,
    ),
    Row(
        "GCN, normalised graph, interacting genes",
        UNIFORM,
        "string",
        genes=INTERACTING,
        against=NORMALISED.name,
        published=47.46,
    ),
    Row(
        "GCN, normalised diagonal graph, interacting genes",
        {**UNIFORM, "self_loops": True},
        "string",
        genes=INTERACTING,
        against=DIAGONAL.name,
        published=47.43,
    ),
    INDIVIDUAL_ALIVE,
    NORMALISED_ALIVE,
    Row(
        f"GCN, normalised diagonal graph, {ALIVE}",
        {**FULL, "self_loops": True},
        "string",
        against=NORMALISED_ALIVE.name,
    ),
    Row(
        f"GCN, normalised graph, {ALIVE}, no residual",
        {**FULL, "residual": False},
        "string",
        against=NORMALISED_ALIVE.name,
    ),
    Row(
        "GCN, normalised graph, batch 64, few epochs",
        FULL,
        "string",
        few_epochs=True,
    ),
    Row(
        "GCN, normalised graph, batch 1, few epochs",
        {**FULL, "batch_size": 1},
        "string",
        against="GCN, normalised graph, batch 64, few epochs",
        few_epochs=True,
    ),
    Row("FC, one split, 20 initial weights", one_split=20),
]

FUTURE_BASE = NORMALISED_ALIVE


def _future(name: str, against: str = FUTURE_BASE.name, **options: Any) -> Row:
    return Row(f"GCN, {name}", {**FULL, **options}, "string", against=against)


EDGES = "GCN, attention over edges"

FUTURE = [
    FC,
    INDIVIDUAL_ALIVE,
    FUTURE_BASE,
    _future("dot attention", attention_function="dot"),
    _future("gaussian attention", attention_function="gaussian"),
    _future("attention over edges", attention="edges"),
    _future(
        "additive attention over edges", EDGES, attention="edges", attention_function="additive"
    ),
    _future("gene-aware attention", gene_aware=True),
    _future("gene-aware attention over edges", EDGES, attention="edges", gene_aware=True),
    _future("attention shared by all cells", attention="shared"),
    _future("2 graphs", num_graphs=2),
    _future("4 graphs", num_graphs=4),
    _future("1 layer, normalised", norm=True),
    _future("2 layers", "GCN, 1 layer, normalised", num_layers=2),
    _future("3 layers", "GCN, 1 layer, normalised", num_layers=3),
    _future("4 layers", "GCN, 1 layer, normalised", num_layers=4),
    _future("4 layers, not normalised", "GCN, 4 layers", num_layers=4, norm=False),
    _future("gates", fusion="gate"),
]


def _control(prior: str) -> Row:
    return Row(f"GCN, {prior}", FULL, prior, against=NORMALISED_ALIVE.name)


# The package's own recipe beside the write-up's: the prior alone, scaled symmetrically.
DEFAULT = {"optimizer": "sgd", "patience": None, "max_epochs": None}
OURS = Row("default recipe", DEFAULT, "string", against="default recipe, no prior")

CONTROLS = [
    FC,
    INDIVIDUAL_ALIVE,
    NORMALISED_ALIVE,
    *map(
        _control,
        [
            "rewired prior",
            "random prior",
            "prior without low-degree genes",
            "prior thinned to 50 %",
            "prior thinned to 20 %",
            "prior thinned to 5 %",
            "prior of another species",
            "prior of another species, upper case",
        ],
    ),
    Row("default recipe, no prior", DEFAULT, "none"),
    OURS,
    Row("default recipe, rewired prior", DEFAULT, "rewired prior", against=OURS.name),
    Row("default recipe, random prior", DEFAULT, "random prior", against=OURS.name),
]

TABLES = {"writeup": WRITEUP, "future": FUTURE, "controls": CONTROLS}
