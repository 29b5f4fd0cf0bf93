"""Simulates single-cell studies of which the truth is known, in the formats of real ones."""

from genegraph.simulation.study import SimulatedStudy, simulate

__all__ = ["SimulatedStudy", "simulate"]
