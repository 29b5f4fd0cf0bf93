"""From probabilities to names."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from genegraph.annotation import Limits, check_voters, name_cells, vote

CLASSES = np.array(["B", "NK", "T"])
PROBA = np.array([[0.6, 0.1, 0.3], [0.2, 0.3, 0.5], [0.0, 0.05, 0.95], [0.1, 0.8, 0.1]], "float32")


def cells():
    obs = pd.DataFrame({"leiden": pd.Categorical(["0", "0", "0", "1"])}, index=list("abcd"))
    links = sp.csr_matrix(([0.5, 0.5, 1.0, 1.0], ([0, 1, 1, 2], [1, 0, 2, 1])), (4, 4))
    return anndata.AnnData(obs=obs, obsp={"connectivities": links})


def test_unsure_cells_are_unknown():
    unsure = np.array([False, True, False, False])
    assert name_cells(PROBA, CLASSES, unsure).tolist() == ["B", "unknown", "T", "NK"]
    assert name_cells(PROBA, CLASSES, unsure & False).tolist() == ["B", "T", "T", "NK"]


def test_unknown_among_numbers_keeps_the_numbers():
    named = name_cells(PROBA, np.array([3, 5, 7]), PROBA.max(1) < 0.9)
    assert named.tolist() == ["unknown", "unknown", 7, "unknown"]


def test_clusters_share_their_mean():
    shared = vote(cells(), PROBA, "leiden")
    np.testing.assert_allclose(shared[:3], np.tile(PROBA[:3].mean(0), (3, 1)), rtol=1e-6)
    np.testing.assert_array_equal(shared[3], PROBA[3])


def test_neighbours_are_weighed_by_their_edges_and_a_cell_by_its_largest():
    shared = vote(cells(), PROBA, "connectivities")
    np.testing.assert_allclose(shared[0], (PROBA[0] + PROBA[1]) / 2, rtol=1e-6)
    expected = (0.5 * PROBA[0] + PROBA[1] + PROBA[2]) / 2.5
    np.testing.assert_allclose(shared[1], expected, rtol=1e-6)
    np.testing.assert_array_equal(shared[3], PROBA[3])  # without neighbours


def test_what_cannot_be_is_refused():
    for wrong in (2, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"'min_confidence' must lie in 0 .. 1 \(got"):
            Limits(min_confidence=wrong).check(CLASSES)
    called_so = np.array(["B", "T", "unknown"])
    Limits().check(called_so)
    for limits in (Limits(min_confidence=0.5), Limits(max_novelty=0.9)):
        with pytest.raises(ValueError, match="No class may be called 'unknown'"):
            limits.check(called_so)
    check_voters(cells(), "connectivities")
    with pytest.raises(KeyError, match=r"obsp has \['connectivities'\]"):
        check_voters(cells(), "louvain")
    lost = cells()
    lost.obs["leiden"] = pd.Categorical(["0", None, "0", "1"])
    with pytest.raises(ValueError, match="none for 1 cells"):
        check_voters(lost, "leiden")


def test_many_new_cells_are_said_to_be_many():
    novelty = np.linspace(0, 1, 40)
    assert Limits(max_novelty=0.8).new(novelty).sum() == 8  # as many as expected: no warning
    with pytest.warns(UserWarning, match="20 of the 40 cells have a novelty above 0.95"):
        assert Limits(max_novelty=0.95).new(np.repeat([0.1, 0.99], 20)).sum() == 20
    assert Limits(max_novelty=0.95).new(np.repeat([0.1, 0.99], 5)).sum() == 5  # too few to say


def test_of_an_adapted_classifier_it_is_not_said_to_adapt():
    novelty = np.repeat([0.1, 0.99], 20)
    with pytest.warns(UserWarning, match=r"not the types\. model\.adapt\(query\) takes"):
        Limits(max_novelty=0.95).new(novelty)
    with pytest.warns(UserWarning, match=r"not the types\.$"):
        Limits(max_novelty=0.95).new(novelty, adapted=True)
