"""Deletion and insertion curves, by hand and on a fitted network."""

import numpy as np
import pandas as pd
import pytest
from linear_case import X, Y
from scipy.special import expit

from genegraph.explain import edge_importance, faithfulness, gene_importance


def test_curves_of_a_linear_network_by_hand(linear_model):
    table = gene_importance(linear_model, X, groupby=Y, baseline="zero", steps=1)
    order = table[table["class"] == "T"]["gene"].tolist()
    assert order == ["0", "2", "1"]
    out = faithfulness(linear_model, X, table, groupby=Y, baseline="zero", points=3)
    mine = out.curves[(out.curves["class"] == "T") & (out.curves["order"] == "importance")]
    cells, weight = X[Y == "T"], np.array([2.0, -2.0, 1.0])
    kept = [[0, 1, 2], [1, 2], [1], []]
    deletion = [expit(cells[:, k] @ weight[k]).mean() for k in kept]
    put_in = [[], [0], [0, 2], [0, 1, 2]]
    insertion = [expit(cells[:, k] @ weight[k]).mean() for k in put_in]
    for curve, expected in (("deletion", deletion), ("insertion", insertion)):
        found = mine[mine["curve"] == curve]
        np.testing.assert_allclose(found["probability"], expected, atol=1e-5)
        np.testing.assert_allclose(found["share"], [0, 1 / 3, 2 / 3, 1])
        area = out.summary[(out.summary["class"] == "T") & (out.summary["curve"] == curve)]
        by_hand = (expected[0] / 2 + expected[1] + expected[2] + expected[3] / 2) / 3
        assert area["area"].item() == pytest.approx(by_hand, abs=1e-5)
        assert area["gain"].item() > 0


def test_the_wrong_way_round_is_worse_than_random(linear_model):
    table = gene_importance(linear_model, X, groupby=Y, baseline="zero", steps=1)
    table["importance"] = -table["importance"]
    out = faithfulness(linear_model, X, table, groupby=Y, baseline="zero", points=3, num_random=30)
    assert (out.summary["gain"] < 0).all()


def test_edge_curves_run_between_no_weights_and_all(adata, counted_model):
    table = edge_importance(counted_model, adata, groupby="cell_type", steps=8)
    out = faithfulness(counted_model, adata, table, groupby="cell_type", points=4, num_random=2)
    proba = counted_model.predict_proba(adata)
    for k, label in enumerate(counted_model.classes_):
        rows = (adata.obs["cell_type"] == label).to_numpy()
        mine = out.curves[out.curves["class"] == label]
        whole = mine[(mine["curve"] == "deletion") & (mine["share"] == 0)]["probability"]
        np.testing.assert_allclose(whole, proba[rows, k].mean(), atol=1e-5)
        whole = mine[(mine["curve"] == "insertion") & (mine["share"] == 1)]["probability"]
        np.testing.assert_allclose(whole, proba[rows, k].mean(), atol=1e-5)
        ends = mine[((mine["curve"] == "insertion") & (mine["share"] == 0))
                    | ((mine["curve"] == "deletion") & (mine["share"] == 1))]  # fmt: skip
        assert np.ptp(ends["probability"]) < 1e-6
    assert out.curves["order"].unique().tolist() == ["importance", "random 0", "random 1"]
    again = faithfulness(counted_model, adata, table, groupby="cell_type", points=4, num_random=2)
    pd.testing.assert_frame_equal(out.curves, again.curves)


def test_tables_that_do_not_fit_are_refused(adata, counted_model):
    table = pd.DataFrame({"class": ["T cell"], "gene_a": "G0", "gene_b": "G7", "importance": 1.0})
    with pytest.raises(ValueError, match="edges of the prior \\(got 'G0' and 'G7'\\)"):
        faithfulness(counted_model, adata, table, groupby="cell_type")
    with pytest.raises(ValueError, match="the columns 'class', 'score'"):
        faithfulness(counted_model, adata, table, column="score")
    with pytest.raises(ValueError, match="must be at least 1"):
        faithfulness(counted_model, adata, table, num_random=0)
