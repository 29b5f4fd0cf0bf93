"""Reads gene interactions into one tidy table: ``gene_a, gene_b, score``."""

from genegraph.interactions.biogrid import read_biogrid
from genegraph.interactions.edges import read_edges
from genegraph.interactions.stringdb import read_stringdb

__all__ = ["read_biogrid", "read_edges", "read_stringdb"]
