"""A report on a classifier and the cells it named: one HTML file, complete in itself."""

from genegraph.report.writing import write_report

__all__ = ["write_report"]
