"""The classifiers that are compared; none sees anything of the test cells before it names them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp
import torch
from accuracy_features import TOP_GENES, Named, logarithms, most_varying
from accuracy_networks import network
from accuracy_sets import Case
from anndata import AnnData
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC

from genegraph import GeneGCNClassifier
from genegraph.adaptation import TypeSums, find_adaptation
from genegraph.classifier_network import VIEWS


def _features(case: Case, number: int = TOP_GENES) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    train = logarithms(case.train, case.values)
    genes = most_varying(train, number)
    return train[:, genes], logarithms(case.test, case.values)[:, genes]


def _on_features(make: Callable[[Case, int], Any], *, dense: bool = False) -> Any:
    def run(case: Case, seed: int) -> Named:
        train, test = _features(case)
        if dense:
            train, test = train.toarray(), test.toarray()
        model = make(case, seed).fit(train, case.train.obs["cell_type"].to_numpy())
        sure = model.predict_proba(test).max(1) if hasattr(model, "predict_proba") else None
        return Named(model.predict(test), sure)

    return run


def _adapted(make: Callable[[Case, int], Any]) -> Any:
    """The same correction of the query's mean for a scikit-learn model; all cells count."""

    def run(case: Case, seed: int) -> Named:
        train, test = (part.toarray() for part in _features(case))
        labels = case.train.obs["cell_type"].to_numpy(str)
        model = make(case, seed).fit(train, labels)
        sums = TypeSums(np.unique(labels, return_inverse=True)[1])
        sums.add(torch.from_numpy(train))
        adapted = find_adaptation(
            test[None],
            sums.means(),
            lambda views: model.predict_proba(views[0]),
            lambda views: np.zeros(views.shape[1]),
        )(test[None])
        proba = model.predict_proba(adapted[0])
        return Named(model.classes_[proba.argmax(1)], proba.max(1))

    return run


def _tuned(model: Any, grid: list[float]) -> Callable[[Case, int], Any]:
    """C is chosen on a quarter of the training cells and then fitted on all of them."""

    def make(case: Case, seed: int) -> GridSearchCV:
        labels = case.train.obs["cell_type"]
        smallest = labels.value_counts().min()
        inner: Any = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed)
        if smallest < 2:  # cannot be in both parts
            inner = [_split_but_singles(labels.to_numpy(), seed)]
        return GridSearchCV(model, {"C": grid}, cv=inner)

    return make


def _split_but_singles(labels: NDArray[Any], seed: int) -> tuple[Any, Any]:
    names, count = np.unique(labels, return_counts=True)
    single = np.isin(labels, names[count < 2])
    rest = np.flatnonzero(~single)
    splitter = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed)
    train, test = next(splitter.split(rest, labels[rest]))
    return np.append(rest[train], np.flatnonzero(single)), rest[test]


def _neighbours(case: Case, seed: int) -> Any:
    return make_pipeline(_pca(case, seed), KNeighborsClassifier(15))


def _boosting(case: Case, seed: int) -> Any:
    # Ten classes times 3,000 genes take hours; boosting on components is the usual way out.
    # Without the penalty (XGBoost's default), leaves of rare types grow without bound.
    model = HistGradientBoostingClassifier(l2_regularization=1.0, random_state=seed)
    return make_pipeline(_pca(case, seed), model)


def _pca(case: Case, seed: int) -> PCA:
    return PCA(min(50, case.train.n_obs - 1, case.train.n_vars - 1), random_state=seed)


class _OneAgainstRest(LogisticRegression):
    """scikit-learn's former LogisticRegression(multi_class="ovr"), for more than two classes."""

    def __init__(self, *, multi_class: str, **options: Any) -> None:
        assert multi_class == "ovr"
        super().__init__(**options)

    def fit(self, X: Any, y: Any) -> _OneAgainstRest:
        plain = LogisticRegression(C=self.C, solver=self.solver, max_iter=self.max_iter)
        each = OneVsRestClassifier(plain).fit(X, y)
        self.classes_ = each.classes_
        self.coef_ = np.concatenate([model.coef_ for model in each.estimators_])
        self.intercept_ = np.concatenate([model.intercept_ for model in each.estimators_])
        return self


def _celltypist(case: Case, seed: int) -> Named:
    import celltypist

    parts = (case.train, case.test)
    cells = [AnnData(logarithms(part, case.values).toarray(), var=part.var) for part in parts]
    for part in cells:
        part.obs_names = [str(i) for i in range(part.n_obs)]
    # CellTypist asks scikit-learn for multi_class="ovr", which is gone since 1.8: this is the same.
    one_against_rest = mock.patch("celltypist.train.LogisticRegression", _OneAgainstRest)
    with warnings.catch_warnings(), one_against_rest:
        warnings.simplefilter("ignore")
        model = celltypist.train(
            cells[0],
            case.train.obs["cell_type"].to_numpy(),
            check_expression=False,
            n_jobs=1,
        )
        found = celltypist.annotate(cells[1], model)
    proba = found.probability_matrix.to_numpy()
    return Named(found.predicted_labels["predicted_labels"].to_numpy(str), proba.max(1))


def _with_others(case: Case) -> tuple[Any, Any, NDArray[np.int64], NDArray[Any]]:
    """Features of labelled and unlabelled cells and of test cells, codes (-1: none) and names."""
    assert case.others is not None
    parts = (case.train, case.others, case.test)
    train, others, test = (logarithms(part, case.values) for part in parts)
    both = sp.vstack([train, others]).tocsr()
    genes = most_varying(both)
    names, codes = np.unique(case.train.obs["cell_type"].to_numpy(str), return_inverse=True)
    codes = np.append(codes, np.full(case.others.n_obs, -1))
    return both[:, genes], test[:, genes], codes, names


def _self_trained(case: Case, seed: int) -> Named:
    """Logistic regression, fitted again and again on what it is sure of."""
    both, test, codes, names = _with_others(case)
    known = codes >= 0
    search = REGRESSION(case, seed).fit(both[known], codes[known])
    model = SelfTrainingClassifier(search.best_estimator_).fit(both, codes)
    proba = model.predict_proba(test)
    return Named(names[model.classes_[proba.argmax(1)]], proba.max(1))


def _spread(case: Case, seed: int) -> Named:
    """Label spreading between neighbours in principal components."""
    both, test, codes, names = _with_others(case)
    pca = PCA(min(50, both.shape[0] - 1, both.shape[1] - 1), random_state=seed)
    places = pca.fit_transform(both.toarray())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells that no label reaches
        model = LabelSpreading(kernel="knn", n_neighbors=15, max_iter=100).fit(places, codes)
        proba = model.predict_proba(pca.transform(test.toarray()))
    return Named(names[model.classes_[proba.argmax(1)]], proba.max(1))


def _median_reads(cells: AnnData) -> float:
    return float(np.median(np.asarray(cells.X.sum(1))))


COPIES = 5


def _thinned(case: Case, seed: int) -> Named:
    """Logistic regression on the reference thinned to the depth of the query, several times."""
    share = min(1.0, _median_reads(case.test) / _median_reads(case.train))
    counts = sp.csr_matrix(case.train.X)
    rng = np.random.default_rng(seed)
    copies = []
    for _ in range(COPIES):
        kept = rng.binomial(counts.data.astype(int), share).astype(np.float32)
        copies.append(sp.csr_matrix((kept, counts.indices, counts.indptr), counts.shape))
    train = logarithms(AnnData(sp.vstack(copies).tocsr()), "counts")
    genes = most_varying(train)
    train, test = train[:, genes], logarithms(case.test, case.values)[:, genes]
    labels = case.train.obs["cell_type"].to_numpy(str)
    inner = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed)
    # The copies of a cell are on the same side.
    starts = np.arange(COPIES)[:, None] * len(labels)
    sides = [(starts + rows).ravel() for rows in next(inner.split(labels, labels))]
    search = GridSearchCV(LogisticRegression(max_iter=300), {"C": GRID}, cv=[tuple(sides)])
    model = search.fit(train, np.tile(labels, COPIES))
    proba = model.predict_proba(test)
    return Named(model.classes_[proba.argmax(1)], proba.max(1))


def ours(
    prior: str = "real",
    *,
    unlabeled: str | None = None,
    adapt: bool = False,
    thin: str | None = None,
    **options: Any,
) -> Callable[[Case, int], Named]:
    """Returns the package's classifier with the real prior, a rewired one, or none.

    Args:
        prior: ``"real"``, ``"rewired"`` or ``"none"``.
        unlabeled: Learn from cells without labels too: ``"others"``, those of the case, or
            ``"query"``, the test cells.
        adapt: Adapt to the test cells before they are named, without their labels.
        thin: Meet training cells with fewer reads: ``"query"``, with as many as the median test
            cell has, or ``"any"``, with a twentieth of them to all.
        options: Of the classifier.
    """

    def run(case: Case, seed: int) -> Named:
        graph = {"none": None, "real": case.graph}.get(prior)
        if prior == "rewired":
            graph = case.graph.rewire(random_state=seed)
        settings = {"values": case.values, "random_state": seed, "verbose": False, **options}
        model = GeneGCNClassifier(graph, **settings)
        if thin is not None:
            whole = _median_reads(case.train)
            wanted = {"query": _median_reads(case.test), "any": (whole / 20, whole)}
            model.set_params(thin_to=wanted[thin])
        named = AnnData(case.test.X, case.test.obs[[]].copy(), case.test.var[[]])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells whose reads cannot be told: by design here
            others = {None: None, "others": case.others, "query": named}[unlabeled]
            model.fit(case.train, "cell_type", unlabeled=others)
            if adapt:
                model = model.adapt(named)
            model.annotate(named, "found")
        sure, new = (named.obs[f"found_{part}"].to_numpy(float) for part in PARTS)
        return Named(named.obs["found"].to_numpy(str), sure, new)

    return run


def heads(prior: str = "real", **options: Any) -> Callable[[Case, int], Named]:
    """Returns the same without the linear discriminant."""
    return ours(prior, discriminant=False, **options)


def _with(name: str, value: Any, method: Callable[[Case, int], Named]) -> Any:
    """The method with a constant of the package changed."""

    def run(case: Case, seed: int) -> Named:
        with mock.patch(name, value):
            return method(case, seed)

    return run


WRITE_UP = {
    "optimizer": "adam",
    "shrinkage": None,
    "n_top_genes": None,
    "hidden_channels": (256, 128),
    "num_heads": 1,
    "max_epochs": 50,
    "patience": 5,
}
"""The write-up's fully connected network: Adam at 1e-3 on all genes, the best epoch's weights."""

NETWORKS = {
    "ChebConv (sigGCN)": "cheb",
    "SAGE, learned edges (scGraph)": "sage",
    "GATv2Conv": "gat",
}
OURS = "gene GCN"
HEADS = "heads alone"
"""Ours without the linear discriminant, by which everything else was studied."""
NONE, REWIRED = f"{HEADS}, no graph", f"{HEADS}, rewired graph"
ADAPTED = f"{HEADS}, adapted"
QUERY = f"{HEADS}, query learned too"
THINNED = f"{HEADS}, thinned to the query"
ANY_DEPTH = f"{HEADS}, thinned to any depth"
UNLABELED = f"{HEADS}, unlabelled cells too"
GRID = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
"""Up to little penalty: what logarithms without counts ask for."""
REGRESSION = _tuned(LogisticRegression(max_iter=300), GRID)
PARTS = ("confidence", "novelty")
METHODS: dict[str, Callable[[Case, int], Named]] = {
    "logistic regression": _on_features(REGRESSION),
    "linear SVM": _on_features(_tuned(LinearSVC(), [0.0003, 0.001, 0.003, 0.01, 0.03])),
    "CellTypist": _celltypist,
    "kNN on PCA": _on_features(_neighbours, dense=True),
    "random forest": _on_features(
        lambda case, seed: RandomForestClassifier(300, random_state=seed)
    ),
    "boosting on PCA": _on_features(_boosting, dense=True),
    **{name: network(kind) for name, kind in NETWORKS.items()},
    "fully connected, write-up": ours("none", **WRITE_UP),
    OURS: ours(),
    HEADS: heads(),
    NONE: heads("none"),
    REWIRED: heads("rewired"),
}
ADAPTING: dict[str, Callable[[Case, int], Named]] = {
    "logistic regression, adapted": _adapted(REGRESSION),
    ADAPTED: heads(adapt=True),
    QUERY: heads(unlabeled="query"),
    f"{NONE}, adapted": heads("none", adapt=True),
}
"""They read the test cells, all of them together and without labels, before they name any."""
METHODS |= ADAPTING
THINNING: dict[str, Callable[[Case, int], Named]] = {
    "logistic regression, thinned to the query": _thinned,
    THINNED: heads(thin="query"),
    ANY_DEPTH: heads(thin="any"),
    f"{NONE}, thinned to the query": heads("none", thin="query"),
}
"""Of the test cells they know how many reads the median one has, but for those of any depth."""
METHODS |= THINNING
SEMI: dict[str, Callable[[Case, int], Named]] = {
    "logistic regression, self-trained": _self_trained,
    "label spreading": _spread,
    UNLABELED: heads(unlabeled="others"),
    f"{NONE}, unlabelled cells too": heads("none", unlabeled="others"),
}
"""They learn from cells without labels too, where few are labelled."""
METHODS |= SEMI
ABLATIONS: dict[str, Callable[[Case, int], Named]] = {
    "one head of 128": ours(num_heads=1, hidden_channels=(128,)),
    "one view": _with("genegraph.classifier_network.VIEWS", VIEWS[:1], heads()),
    "no resampling": _with("genegraph.resampling.RESAMPLING_DEPTH", 0.0, heads()),
    "graph after the logarithm": heads(shrinkage=None),
    "all genes": heads(n_top_genes=None),
    "weight decay 0.03": heads(weight_decay=0.03),
}
"""The heads alone, but for one part of them."""
METHODS |= ABLATIONS
LINEAR = ("logistic regression", "linear SVM")
MAIN = (*LINEAR, OURS, HEADS, NONE, REWIRED)
