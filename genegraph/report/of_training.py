"""How training went."""

from __future__ import annotations

from typing import Any

from genegraph.pl import history
from genegraph.report.asked import Asked
from genegraph.report.html import Html, definitions, picture, section

TITLE = "How training went"


def of_training(asked: Asked) -> Html:
    """Returns the section: epochs, calibration, the strength of the prior, curves.

    Args:
        asked: The classifier.
    """
    model = asked.model
    held = model.held_out_
    facts: dict[str, Any] = {
        "epochs": f"{model.n_iter_:,}",
        "heads": f"{model.num_heads:,}",
        "cells held out for calibration": "none" if held is None else f"{len(held):,}",
        "temperature": f"{model.temperature_:.3g} (logits are divided by it)",
    }
    shrinkage = model.network_.shrinkage
    if shrinkage is not None and model.graph_ is not None:
        kappa = shrinkage.log_kappa.detach().exp().flatten().tolist()
        facts["strength of the prior"] = (
            ", ".join(f"{value:,.3g}" for value in kappa) + f" reads, from {model.shrinkage:g}"
        )
    parameters = sum(p.numel() for p in model.network_.parameters())
    facts["parameters"] = f"{parameters:,}"
    return section(
        "training",
        TITLE,
        definitions(facts),
        picture(history(model, "loss"), "Loss, epoch by epoch."),
        picture(history(model, "accuracy"), "Accuracy, epoch by epoch."),
    )
