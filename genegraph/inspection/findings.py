"""Collects findings; whether something is an error, the checks of ``fit`` themselves decide."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

from genegraph.inspection.result import COLUMNS, SEVERITIES

Answer = TypeVar("Answer")
Advice = str | Callable[[], str]


class Findings:
    """A growing list of findings.

    Example:
        >>> found = Findings()
        >>> found.refused("values", "float('2')", lambda: float("two"))
        >>> found.table().loc[0].tolist()
        ['error', 'values', "could not convert string to float: 'two'", "float('2')"]
    """

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, str]] = []

    def add(self, severity: str, topic: str, finding: str, advice: str = "") -> None:
        """Notes a finding, and the line that mends it."""
        self._rows.append((severity, topic, finding, advice))

    def refused(self, topic: str, advice: Advice, check: Callable[[], Answer]) -> Answer | None:
        """Runs a check of ``fit``: what it raises is an error, what it warns of a warning.

        Args:
            topic: What is checked.
            advice: The line that mends it, or what finds that line.
            check: The check.

        Returns:
            Its answer; None where it refused.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return check()
            except (ValueError, KeyError, TypeError) as error:
                # A KeyError shows its message in quotes.
                message = error.args[0] if isinstance(error, KeyError) else error
                self.add(
                    "error", topic, str(message), advice if isinstance(advice, str) else advice()
                )
            finally:
                for warning in caught:
                    if issubclass(warning.category, UserWarning):
                        line = advice if isinstance(advice, str) else advice()
                        self.add("warning", topic, str(warning.message), line)
        return None

    def table(self) -> pd.DataFrame:
        """All of them, the worst first and else in the order in which they were found."""
        rows = sorted(self._rows, key=lambda row: SEVERITIES.index(row[0]))
        return pd.DataFrame(rows, columns=list(COLUMNS))
