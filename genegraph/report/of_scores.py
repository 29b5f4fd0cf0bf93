"""How well each class is found, and how far confidence can be trusted."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from genegraph.pl import confusion, coverage, reliability
from genegraph.report.asked import Asked
from genegraph.report.html import Html, definitions, paragraph, picture, section, table

TITLE, TITLE_CONFIDENCE = "Scores per class", "Confidence"
_NOTHING = (
    "No labels were given, and no cells were held out in training, so nothing is known of how "
    "often names are right. Pass y=, or fit with more than one head."
)


def of_scores(asked: Asked) -> Html:
    """Returns the section: precision, recall, F1 and support of each class, and confusion.

    Args:
        asked: The cells and the classifier.
    """
    scored = asked.scored()
    if scored is None:
        return section("scores", TITLE, paragraph(_NOTHING))
    labels, named, _, which = scored
    classes = sorted({*labels, *named})
    parts = precision_recall_fscore_support(labels, named, labels=classes, zero_division=np.nan)
    rows = [
        (name, *(_share(value) for value in (precision, recall, f1)), int(support))
        for name, precision, recall, f1, support in zip(classes, *parts, strict=True)
    ]
    macro = f1_score(labels, named, labels=sorted(set(labels)), average="macro", zero_division=0)
    facts = {
        "scored on": which,
        "cells": f"{len(labels):,}",
        "accuracy": f"{accuracy_score(labels, named):.1%}",
        "macro-F1": f"{macro:.1%} (mean over the {len(set(labels)):,} classes that occur)",
    }
    known = {str(name) for name in asked.model.classes_}
    strange = sorted(set(labels) - known)
    note = (
        paragraph(
            f"{len(strange):,} of the labels are no class of the model, so all their cells count "
            f"as named wrongly: {', '.join(strange[:8])}."
        )
        if strange
        else ""
    )
    return section(
        "scores",
        TITLE,
        definitions(facts),
        note,
        table(
            ["class", "precision, %", "recall, %", "F1, %", "cells (support)"],
            rows,
            "Precision: share of the cells so named that are so; recall: share of the cells of the "
            "class that are so named; F1: their harmonic mean.",
        ),
        picture(
            confusion(labels, named),
            "Rows are true classes, columns what the cells were named. Classes that are taken for "
            "each other stand side by side.",
        ),
    )


def of_confidence(asked: Asked) -> Html:
    """Returns the section: reliability, and accuracy against the share of cells named.

    Args:
        asked: The cells and the classifier.
    """
    scored = asked.scored()
    if scored is None:
        return section("confidence", TITLE_CONFIDENCE, paragraph(_NOTHING))
    _, _, sure, which = scored
    return section(
        "confidence",
        TITLE_CONFIDENCE,
        paragraph(f"Measured on {which}: {sure}."),
        picture(reliability(sure), "On the dashed line, confidence is what it says."),
        picture(coverage(sure), "What is won by naming only the surest cells."),
    )


def _share(value: float) -> float | str:
    return "" if np.isnan(value) else _Rounded(100 * value)


class _Rounded(float):
    """A number that is written with one decimal."""

    def __str__(self) -> str:
        return f"{float(self):.1f}"
