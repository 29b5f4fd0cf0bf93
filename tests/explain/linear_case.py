"""A network whose truth is known exactly."""

import numpy as np
import torch

from genegraph import GeneGCNClassifier

X = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.0], [2.0, 0.0, 4.0], [0.0, 5.0, 1.0]] * 5)
Y = np.array(["T", "B", "T", "B"] * 5)


def linear(graph=None, **options):
    """Logits are linear in three genes: for T gene 0 counts 2 and gene 2 counts 1; for B gene 1."""
    options = {
        "num_heads": 1,
        "hidden_channels": (),
        "max_epochs": 1,
        "values": "features",
    } | options
    model = GeneGCNClassifier(
        graph, n_top_genes=None, random_state=0, verbose=False, **options
    ).fit(X, Y)  # fmt: skip
    network = model.network_
    with torch.no_grad():
        network.head_input.set(torch.arange(3), torch.zeros(3), 1.0)
        network.head.heads[0].out.weight.copy_(torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 1.0]]))
        network.head.heads[0].out.bias.zero_()
        for graphs in network.layers:
            for conv in graphs:
                conv.weight.fill_(0.5)
    model.temperature_ = 1.0
    return model
