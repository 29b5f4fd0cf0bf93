import pytest

from genegraph.datasets import simulate

SMALL = {
    "n_cells": 200,
    "n_genes": 300,
    "n_interacting": 80,
    "n_types": 5,
    "n_modules": 4,
    "n_hidden": 2,
    "verbose": False,
}


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulated") / "study", **SMALL)
