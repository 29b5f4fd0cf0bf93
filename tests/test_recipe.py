import numpy as np
import pytest
import torch

from genegraph.nn import GeneGCN
from genegraph.recipe import Recipe


def test_the_layer_that_reads_the_genes_bears_the_penalty_and_others_a_tenth():
    network = GeneGCN(num_genes=5, num_classes=2, hidden_channels=(4, 3))
    groups = Recipe(weight_decay=0.5).optimizers(network, 10, 100)["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay.pop(id(network.head.heads[0].hidden[0].weight)) == 0.5
    assert set(decay.values()) == {0.05}
    assert len(decay) == len(list(network.parameters())) - 1


def test_sgd_runs_one_cycle_that_peaks_at_lr():
    network = torch.nn.Linear(2, 2)
    made = Recipe(lr=0.3).optimizers(network, 100, 1000)
    rates = []
    for _ in range(100):
        rates.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    assert max(rates) == pytest.approx(0.3, rel=1e-2)
    assert rates[0] < 0.02
    assert rates[-1] < 0.001
    assert made["optimizer"].defaults["nesterov"]


def test_adam_is_the_write_ups():
    adam = Recipe(optimizer="adam").optimizers(torch.nn.Linear(2, 2), 10, 100)["optimizer"]
    assert isinstance(adam, torch.optim.Adam)
    assert (adam.defaults["betas"], adam.defaults["eps"]) == ((0.9, 0.999), 1e-8)
    assert adam.param_groups[0]["lr"] == 1e-3
    assert adam.param_groups[0]["weight_decay"] == 0
    assert Recipe(optimizer="adam").clip is None


def test_few_cells_are_seen_more_often():
    assert [Recipe().epochs(n) for n in (10, 500, 2_000, 1_000_000)] == [200, 88, 22, 20]
    assert Recipe(batch_size=8).epochs(500) == 20
    assert Recipe(max_epochs=3).epochs(500) == 3


@pytest.mark.parametrize("factor", [1e-3, 1, 1e3])
def test_what_the_head_reads_has_the_same_spread_whatever_its_unit(factor):
    X = np.random.default_rng(0).random((50, 100)) * factor
    scaled = (X - X.mean(0)) * float(Recipe().scale(100, torch.tensor(X.var(0).sum())))
    assert np.sqrt((scaled**2).sum(1).mean()) == pytest.approx(30)  # 3 times the root of 100


def test_scale_of_many_genes_is_bounded_and_of_equal_cells_and_adam_is_one():
    variances = torch.tensor([4.0, 16.0, 0.0])
    assert Recipe().scale(10_000, variances).tolist() == [32, 16, 1]
    assert Recipe(optimizer="adam").scale(4, variances).tolist() == [1, 1, 1]


def test_the_penalty_falls_with_the_number_of_cells_and_is_bounded():
    assert [Recipe().penalty(n) for n in (10, 750, 7_500, 75_000)] == [0.1, 0.1, 0.01, 0.001]
    assert Recipe(weight_decay=0.3).penalty(7_500) == 0.3
    assert Recipe("adam").penalty(7_500) == 0


def test_the_strength_of_the_prior_bears_no_penalty():
    network = GeneGCN(num_genes=5, num_classes=2, hidden_channels=(4,), num_layers=0, kappa=10.0)
    groups = Recipe(weight_decay=0.5).optimizers(network, 10, 100)["optimizer"].param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert decay[id(network.shrinkage.log_kappa)] == 0
    assert len(decay) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lbfgs"}, "'optimizer' must be one of"),
        ({"batch_size": 0}, "'batch_size' must be at least 1"),
        ({"max_epochs": 0}, "'max_epochs' must be at least 1"),
        ({"patience": 0}, "'patience' must be at least 1"),
        ({"lr": -1.0}, "'lr' must be at least 0"),
        ({"weight_decay": -1.0}, "'weight_decay' must be at least 0"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_fused_steps_are_the_same_steps(optimizer):
    weights = []
    for fused in (True, False):
        torch.manual_seed(0)
        network = GeneGCN(num_genes=5, num_classes=2, hidden_channels=(4,), num_layers=0)
        made = Recipe(optimizer, lr=0.1).optimizers(network, 20, 100, fused=fused)["optimizer"]
        for step in range(20):
            network(
                torch.rand(8, 5, generator=torch.Generator().manual_seed(step))
            ).sum().backward()
            made.step()
            made.zero_grad()
        weights.append(torch.cat([p.detach().flatten() for p in network.parameters()]))
    torch.testing.assert_close(*weights)
