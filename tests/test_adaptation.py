"""Cells of another technology or depth: what is taken from them, and what is not."""

import anndata
import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.exceptions import NotFittedError

from genegraph import GeneGCNClassifier, classifier_adapt
from genegraph.adaptation import TypeMeans, TypeSums, find_adaptation
from genegraph.nn.head_input import HeadInput
from genegraph.novelty import Novelty

SMALL = {
    "hidden_channels": (16,),
    "batch_size": 16,
    "max_epochs": 6,
    "random_state": 0,
    "verbose": False,
    "device": "cpu",
}

# --- the means of types ------------------------------------------------------------------------


def test_sums_give_means_and_variance():
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.arange(50) % 3)
    views = rng.normal(size=(2, 50, 4)).astype("float32")
    sums = TypeSums(codes)
    for part in torch.from_numpy(views).split(7, dim=1):
        sums.add(part)
    found = sums.means()
    means = np.stack([views[:, codes == k].mean(1) for k in range(3)], axis=1)
    np.testing.assert_allclose(found.means, means, atol=1e-6)
    within = ((views - means[:, codes]) ** 2).sum((1, 2)) / (50 - 3)
    np.testing.assert_allclose(found.variance, within, rtol=1e-5)
    assert found.num_cells.tolist() == np.bincount(codes).tolist()
    found.check_shape(2, 3, 4)


def test_a_class_a_cell_has_no_variance():
    sums = TypeSums(np.arange(3))
    sums.add(torch.eye(3))
    assert sums.means().variance.tolist() == [0]


# --- the shift ---------------------------------------------------------------------------------


def clouds(codes, num_features=40, seed=0, shift=0.0):
    """Cells around the means of four types, which are the same for every seed."""
    centres = np.random.default_rng(99).normal(0, 1.2, (4, num_features))
    noise = np.random.default_rng(seed).normal(0, 1, (len(codes), num_features))
    return (centres[codes] + noise + shift).astype(np.float32)


def learned(codes, cells):
    """Means of types, and a classifier by the nearest of them."""
    sums = TypeSums(codes)
    sums.add(torch.from_numpy(cells))
    types = sums.means()

    def name(views):
        apart = views[0][:, None] - types.means[0]
        return softmax(-(apart**2).sum(2) / 2, axis=1).astype(np.float32)

    return types, name


def nothing_new(views):
    return np.zeros(views.shape[1])


def test_by_hand():
    types = TypeMeans(np.float32([[[0, 10], [10, 0]]]), np.float32([4]), np.array([20, 10]))
    query = np.float32([[[3, 10], [3, 11], [3, 9], [11, 2]]])

    def name(views):
        return np.float32([[1, 0], [1, 0], [1, 0], [0, 1]])

    # Mean (5, 8), expected (2.5, 7.5); noise 4 (1/4 + 9/16/20 + 1/16/10) of 6.5.
    share = 1 - 4 * (1 / 4 + 9 / 320 + 1 / 160) / 6.5
    # The types are 8 apart in both genes where they were 10.
    slope = 1 + share * (0.8 - 1)
    found = find_adaptation(query, types, name, nothing_new)
    np.testing.assert_allclose(found.slope, [slope], rtol=1e-6)
    by = share * np.array([2.5, 0.5])
    expected = (query[0] - [5, 8]) / slope + [5, 8] - by
    np.testing.assert_allclose(found(query)[0], expected, rtol=1e-5, atol=1e-6)
    assert found.known.all()
    assert found.shift == pytest.approx(np.linalg.norm(by) / 2)


def test_a_shift_is_found_whatever_the_composition():
    codes = np.arange(400) % 4
    types, name = learned(codes, clouds(codes))
    shift, nearer = np.random.default_rng(5).normal(0, 1.5, 40), 0.7
    for seed, shares in enumerate([[0.25] * 4, [0.9, 0.1, 0, 0], [0, 0, 0, 1], [0.5, 0, 0.5, 0]]):
        theirs = np.random.default_rng(seed).choice(4, 300, p=shares)
        like = clouds(theirs, seed=seed + 1)[None]
        query = nearer * like + shift.astype(np.float32)
        found = find_adaptation(query, types, name, nothing_new)
        np.testing.assert_allclose(found(query).mean(1), like.mean(1), atol=0.4)
        if (theirs != theirs[0]).any():  # of one type it cannot be told
            assert found.slope == pytest.approx(nearer, abs=0.05)
        assert (name(found(query)).argmax(1) == theirs).all()


def test_nothing_is_taken_from_cells_like_the_reference():
    codes = np.arange(400) % 4
    types, name = learned(codes, clouds(codes))
    sizes = []
    for seed in range(20):
        theirs = np.random.default_rng(seed).choice(4, 200, p=[0.7, 0.1, 0.1, 0.1])
        query = clouds(theirs, seed=seed + 1)
        sizes.append(find_adaptation(query[None], types, name, nothing_new).shift)
    chance = np.sqrt(1 / 200 + 1 / 400)  # the length of a mean of so many, in units of the spread
    assert np.mean(sizes) < 0.2 * chance


def test_from_one_cell_next_to_nothing_is_learned():
    codes = np.arange(400) % 4
    types, name = learned(codes, clouds(codes))
    shifts = [
        find_adaptation(clouds(codes[:1], seed=n + 1)[None], types, name, nothing_new).shift
        for n in range(10)
    ]
    assert np.mean(shifts) < 0.2  # a cell is 1 from the mean of its type
    moved = clouds(codes[:20], seed=1, shift=0.5)[None]
    rest = find_adaptation(moved, types, name, nothing_new)(moved) - clouds(codes[:20], seed=1)
    assert np.abs(rest.mean(1)).mean() < 0.25


def test_a_type_that_was_not_learned_does_not_move_the_others():
    codes = np.arange(300) % 3
    reference = clouds(codes)
    types, name = learned(codes, reference)
    novel = Novelty.of(reference, codes, np.random.default_rng(0).permutation(300) % 5)
    theirs = np.random.default_rng(1).choice(4, 400, p=[0.2, 0.2, 0.2, 0.4])
    query = clouds(theirs, seed=2, shift=0.3)[None]
    left, taken = (
        find_adaptation(query, types, name, far)
        for far in (lambda views: novel.distance(views[0] @ novel.directions), nothing_new)
    )
    assert left.known[theirs < 3].mean() > 0.8
    assert left.known[theirs == 3].mean() < 0.05
    like = clouds(theirs, seed=2)[theirs < 3].mean(0)
    rest = [np.abs(found(query)[0, theirs < 3].mean(0) - like).mean() for found in (left, taken)]
    assert rest[0] < 0.1 < 0.3 < rest[1]


def test_the_nearer_half_counts_however_far_it_is():
    codes = np.arange(40) % 4
    types, name = learned(codes, clouds(codes))
    far = np.linspace(1.5, 3, 40)
    found = find_adaptation(clouds(codes, seed=1)[None], types, name, lambda views: far)
    assert found.known.tolist() == [True] * 20 + [False] * 20


def test_a_slope_has_limits():
    codes = np.arange(40) % 4
    types, _ = learned(codes, clouds(codes))
    for times, limit in ((0.05, 0.5), (20, 2)):
        query = times * clouds(codes, seed=1)[None] + 1
        right = find_adaptation(query, types, lambda _: np.eye(4, dtype="f")[codes], nothing_new)
        assert right.slope == pytest.approx(limit, abs=0.1)


@pytest.mark.parametrize("num_views", [None, 2])
def test_what_the_heads_read_is_adapted(num_views):
    read = HeadInput(2, num_views)
    assert read.num_views == (num_views or 1)
    views = () if num_views is None else (num_views,)
    scale = 4.0 if num_views is None else torch.tensor([4.0, 0.5])
    read.set(torch.tensor([0, 2]), torch.rand(*views, 2), scale)
    x = torch.rand(*views, 5, 3)
    before = read(x)
    slope, offset = 0.5 + torch.rand(num_views or 1), torch.rand(num_views or 1, 2)
    read.adapt(slope, offset)
    if num_views is None:
        expected = before / slope + offset
    else:
        expected = before / slope[:, None, None] + offset[:, None]
    torch.testing.assert_close(read(x), expected)


# --- the classifier ----------------------------------------------------------------------------


@pytest.fixture
def fitted(adata, graph):
    return GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")


def other_technology(seed=1, num_cells=200):
    """Cells of the three types, mostly of one, whose genes are caught unequally."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, num_cells, p=[0.7, 0.2, 0.1])
    rate = np.ones((num_cells, 12))
    for k in range(3):
        rate[y == k, 4 * k : 4 * (k + 1)] = 10
    caught = np.repeat([0.3, 3, 3], 4)
    X = rng.poisson(rate * caught).astype("float32")
    cells = anndata.AnnData(X)
    cells.var_names = [f"G{i}" for i in range(12)]
    cells.obs["cell_type"] = np.array(["B cell", "NK cell", "T cell"])[y]
    return cells


def test_cells_of_another_technology_are_named_better(fitted):
    query = other_technology()
    before = fitted.predict_proba(query)
    adapted = fitted.adapt(query)
    assert adapted is not fitted
    assert fitted.adapted_ is None
    np.testing.assert_array_equal(fitted.predict_proba(query), before)
    assert fitted.score(query, "cell_type") < 0.8
    assert adapted.score(query, "cell_type") > 0.95
    assert np.median(adapted.novelty(query)) < np.median(fitted.novelty(query))
    assert adapted.adapted_["cells"] == 200
    assert 0 < adapted.adapted_["known"] <= 200
    assert adapted.adapted_["shift"] > 0.5


def test_of_a_shallow_query_it_is_said_what_to_do(fitted, tmp_path):
    query = other_technology()
    query.X = np.random.default_rng(0).binomial(query.X.astype(int), 0.25).astype("float32")
    fitted.save(tmp_path / "model")
    for model in (fitted, GeneGCNClassifier.load(tmp_path / "model")):
        said = r"have \d+ reads \(median\), those learned from \d+: .*model\.adapt\(query\)"
        with pytest.warns(UserWarning, match=said) as told:
            model.annotate(query)
        assert told[0].filename == __file__
    fitted.adapt(query).annotate(query)  # says nothing more


def test_others_of_that_technology_are_named_better_too(fitted):
    adapted = fitted.adapt(other_technology(seed=1))
    assert adapted.score(other_technology(seed=2), "cell_type") > 0.95


def test_cells_like_the_reference_stay_as_they_were(fitted, adata):
    adapted = fitted.adapt(adata)
    assert adapted.adapted_["shift"] < 0.05
    np.testing.assert_allclose(adapted.predict_proba(adata), fitted.predict_proba(adata), atol=0.05)


def test_adapted_again_it_serves_the_next_query(fitted):
    one, two = other_technology(seed=1), other_technology(seed=2)
    two.X = two.X * np.float32([2] * 6 + [1] * 6)
    again = fitted.adapt(one).adapt(two)
    np.testing.assert_allclose(
        again.predict_proba(two), fitted.adapt(two).predict_proba(two), atol=0.1
    )


def test_the_order_of_cells_does_not_matter_and_each_is_named_by_itself(fitted):
    query = other_technology()
    order = np.random.default_rng(0).permutation(200)
    adapted, turned = fitted.adapt(query), fitted.adapt(query[order].copy())
    proba = adapted.predict_proba(query)
    np.testing.assert_allclose(turned.predict_proba(query), proba, atol=1e-4)
    np.testing.assert_allclose(adapted.predict_proba(query[:3].copy()), proba[:3], atol=1e-6)


def test_it_is_kept_in_the_file(fitted, tmp_path):
    query = other_technology()
    adapted = fitted.adapt(query)
    adapted.save(tmp_path / "model")
    again = GeneGCNClassifier.load(tmp_path / "model")
    assert again.adapted_ == adapted.adapted_
    np.testing.assert_array_equal(again.predict_proba(query), adapted.predict_proba(query))
    fitted.save(tmp_path / "plain")
    plain = GeneGCNClassifier.load(tmp_path / "plain")
    assert plain.adapted_ is None
    np.testing.assert_array_equal(
        plain.adapt(query).predict_proba(query), adapted.predict_proba(query)
    )


def test_what_named_the_cells_is_written_beside_them(fitted, tmp_path):
    query = other_technology()
    fitted.adapt(query).annotate(query)
    query.write_h5ad(tmp_path / "named.h5ad")
    assert anndata.read_h5ad(tmp_path / "named.h5ad").uns["genegraph"]["adapted"]


def test_of_many_cells_some_are_drawn_the_same_each_time(fitted, monkeypatch):
    monkeypatch.setattr(classifier_adapt, "MOST_CELLS", 60)
    query = other_technology()
    first, then = fitted.adapt(query), fitted.adapt(query)
    assert first.adapted_["cells"] == 60
    np.testing.assert_array_equal(first.predict_proba(query), then.predict_proba(query))
    assert first.score(query, "cell_type") > 0.95
    monkeypatch.setattr(classifier_adapt, "MOST_NUMBERS", 3 * 12 * 10 + 35)
    assert fitted.adapt(query).adapted_["cells"] == 10


def test_cells_on_disk(fitted, tmp_path):
    query = other_technology()
    query.write_h5ad(tmp_path / "query.h5ad")
    backed = anndata.read_h5ad(tmp_path / "query.h5ad", backed="r")
    one, two = fitted.adapt(query), fitted.adapt(backed)
    np.testing.assert_allclose(two.predict_proba(query), one.predict_proba(query), atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"attention": "full"},
        {"num_heads": 1},
        {"discriminant": True},
        {"graph": None, "values": "log1p", "shrinkage": None},
        {"n_top_genes": 6},
    ],
    ids=["attention", "one head", "discriminant", "no graph", "fewer genes"],
)
def test_whatever_the_heads_read(adata, graph, settings):
    settings = {"graph": graph, **SMALL, **settings}
    query = other_technology()
    if settings.get("values") == "log1p":
        for cells in (adata, query):
            X = cells.X.toarray() if hasattr(cells.X, "toarray") else cells.X
            cells.X = np.log1p(1e4 * X / X.sum(1, keepdims=True)).astype("float32")
    model = GeneGCNClassifier(**settings).fit(adata, "cell_type")
    adapted = model.adapt(query)
    assert adapted.score(query, "cell_type") > model.score(query, "cell_type")


def test_features_in_an_array(counts):
    X, y = counts
    model = GeneGCNClassifier(None, **SMALL).fit(X, y)
    assert model.adapt(X + 5).score(X + 5, y) > 0.95


def test_what_cannot_be_adapted_to_is_refused(fitted, adata):
    with pytest.raises(NotFittedError):
        GeneGCNClassifier(None, **SMALL).adapt(adata)
    with pytest.raises(ValueError, match="must hold at least one cell"):
        fitted.adapt(adata[:0].copy())
    with pytest.raises(ValueError, match="lack"):
        fitted.adapt(adata[:, :6].copy())
    broken = adata.copy()
    broken.X = broken.X.toarray()
    broken.X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted.adapt(broken)
    with torch.no_grad():
        fitted.network_.head_input.scale.fill_(float("inf"))
    with pytest.raises(ValueError, match="must be finite"):
        fitted.adapt(adata)
