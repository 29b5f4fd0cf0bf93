"""What cells look like before any training, and what would go wrong."""

from genegraph.inspection.look import inspect
from genegraph.inspection.result import Inspection

__all__ = ["Inspection", "inspect"]
