"""The layer and the networks; nothing here knows that genes have names."""

from genegraph.nn.autoencoder import Autoencoder
from genegraph.nn.committee import Committee
from genegraph.nn.discriminant import LinearDiscriminant
from genegraph.nn.energy import dirichlet_energy
from genegraph.nn.gene_gcn import GeneGCN
from genegraph.nn.gene_graph_conv import GeneGraphConv
from genegraph.nn.residual_head import ResidualHead
from genegraph.nn.shrinkage import GraphShrinkage

__all__ = [
    "Autoencoder",
    "Committee",
    "GeneGCN",
    "GeneGraphConv",
    "GraphShrinkage",
    "LinearDiscriminant",
    "ResidualHead",
    "dirichlet_energy",
]
