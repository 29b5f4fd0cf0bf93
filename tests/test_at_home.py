"""What users of scanpy, scikit-learn and R expect to work, works."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from matplotlib.colors import to_rgb
from sklearn import config_context
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import genegraph
from genegraph import GeneGCNClassifier

SMALL = {
    "hidden_channels": (16,),
    "max_epochs": 5,
    "num_heads": 2,
    "random_state": 0,
    "verbose": False,
}


@pytest.fixture
def model(graph):
    return GeneGCNClassifier(graph, values="counts", **SMALL)


def test_cross_validation(model, counts):
    X, y = counts
    assert cross_val_score(model, X, y, cv=3).mean() > 0.9
    named = cross_val_predict(model, sp.csr_matrix(X), y, cv=3)
    assert (named == y).mean() > 0.9


def test_a_pipeline_with_frames_between_its_steps(counts, genes):
    X, y = counts
    frame = pd.DataFrame(X, columns=genes)
    steps = (FunctionTransformer(np.log1p), SelectKBest(f_classif, k=8))
    pipeline = make_pipeline(*steps, GeneGCNClassifier(values="features", **SMALL))
    pipeline.set_output(transform="pandas").fit(frame, y)
    assert pipeline.score(frame, y) > 0.9
    assert len(pipeline[-1].feature_names_in_) == 8
    assert set(pipeline[-1].feature_names_in_) <= set(genes)


def test_a_grid_within_a_pipeline(model, counts):
    X, y = counts
    pipeline = make_pipeline(FunctionTransformer(accept_sparse=True), model)
    grid = {"genegcnclassifier__shrinkage": [None, 50.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert set(search.cv_results_["params"][0]) == set(grid)
    assert search.best_estimator_.predict(X[:3]).shape == (3,)


def test_groups_are_routed_to_splits_and_to_fit(model, counts, monkeypatch):
    X, y = counts
    groups = np.arange(120) % 6
    met = []
    fit = GeneGCNClassifier.fit

    def noting(self, X, y=None, *, groups=None, **more):
        met.append(set(groups))
        return fit(self, X, y, groups=groups, **more)

    monkeypatch.setattr(GeneGCNClassifier, "fit", noting)
    with config_context(enable_metadata_routing=True):
        asked = model.set_fit_request(groups=True)
        cross_val_score(asked, X, y, cv=GroupKFold(3), params={"groups": groups})
    assert [len(theirs) for theirs in met] == [4, 4, 4]
    assert set.union(*met) == set(range(6))


def test_annotations_come_back_from_a_file(model, adata, tmp_path):
    model.fit(adata, "cell_type")
    model.annotate(adata, key="guess", max_novelty=0.5)
    adata.write_h5ad(tmp_path / "named.h5ad")
    back = anndata.read_h5ad(tmp_path / "named.h5ad")
    assert list(back.obs["guess"].cat.categories) == ["B cell", "NK cell", "T cell", "unknown"]
    assert (back.obs["guess"] == adata.obs["guess"]).all()
    assert back.uns["guess"]["graph"] == model.graph_.content_hash
    assert back.uns["guess"]["max_novelty"] == 0.5
    named = np.array(back.uns["guess"]["classes"])[back.obsm["guess_proba"].argmax(1)]
    known = (back.obs["guess"] != "unknown").to_numpy()
    assert (named[known] == back.obs["guess"].to_numpy(str)[known]).all()
    colors = list(back.uns["guess_colors"])
    assert len({to_rgb(color) for color in colors}) == 4
    np.testing.assert_allclose(back.obsm["guess_proba"].sum(1), 1, rtol=1e-5)


def test_names_with_a_slash_are_written(model, adata, tmp_path, recwarn):
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(str) + "/CD25"
    model.fit(adata, "cell_type").annotate(adata)
    adata.write_h5ad(tmp_path / "named.h5ad")
    back = anndata.read_h5ad(tmp_path / "named.h5ad")
    assert list(back.uns["genegraph"]["classes"]) == list(model.classes_)
    assert not [w for w in recwarn if "slash" in str(w.message)]


@pytest.mark.filterwarnings("ignore:The set_bad function:PendingDeprecationWarning")  # scanpy's
def test_scanpy_draws_with_our_colours(model, adata):
    scanpy = pytest.importorskip("scanpy")
    model.fit(adata, "cell_type")
    model.annotate(adata)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(120, 2))
    shown = scanpy.pl.umap(adata, color="genegraph", show=False)
    drawn = {tuple(color[:3]) for color in shown.collections[0].get_facecolors()}
    assert drawn == {to_rgb(color) for color in adata.uns["genegraph_colors"]}


def test_cells_as_r_writes_them(adata, model, tmp_path):
    """zellkonverter: doubles, CSC where genes x cells were CSR, factors, logicals with gaps."""
    adata.X = sp.csc_matrix(adata.X.astype(np.float64))
    adata.obs["doublet"] = pd.array([True, False, None] * 40, dtype="boolean")
    adata.obs["nCount_RNA"] = np.asarray(adata.X.sum(1)).ravel()
    adata.layers["logcounts"] = sp.csc_matrix(np.log1p(adata.X.toarray()))
    adata.uns["X_name"] = "counts"
    adata.write_h5ad(tmp_path / "sce.h5ad")
    cells = anndata.read_h5ad(tmp_path / "sce.h5ad")
    model.fit(cells, "cell_type")
    assert model.score(cells, "cell_type") > 0.9
    model.annotate(cells)
    cells.write_h5ad(tmp_path / "named.h5ad")
    assert "genegraph" in anndata.read_h5ad(tmp_path / "named.h5ad").obs


def test_raw_is_read_when_told(adata, graph):
    whole = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type")
    adata.raw = adata
    adata.X = adata.X * 0.001  # scaled somehow: only raw holds the counts
    some = adata[:, adata.var_names[:3]].copy()
    model = GeneGCNClassifier(graph, **SMALL).fit(some, "cell_type", layer="raw")
    assert list(model.feature_names_in_) == list(adata.raw.var_names)
    model.annotate(some)
    np.testing.assert_array_equal(some.obs["genegraph"], whole.predict(adata.raw.to_adata()))
    del some.raw
    with pytest.raises(KeyError, match="raw"):
        model.annotate(some)


def test_a_layer_called_raw_is_that_layer(adata, graph):
    adata.raw = adata[:, :5].copy()
    adata.layers["raw"] = adata.X.copy()
    model = GeneGCNClassifier(graph, **SMALL).fit(adata, "cell_type", layer="raw")
    assert model.n_features_in_ == 12


class MuData:
    """Stands in for mudata's class, known by its name."""

    def __init__(self, mod):
        self.mod = mod


def test_mudata_is_told_which_part_to_pass(adata, model):
    cells = MuData({"rna": adata, "atac": adata})
    for ask in (
        lambda: model.fit(cells, "cell_type"),
        lambda: model.fit(adata, "cell_type").predict(cells),
        lambda: model.annotate(cells),
        lambda: genegraph.inspect(cells),
    ):
        with pytest.raises(TypeError, match=r"mdata.mod\['rna'\] \(it has \['atac', 'rna'\]\)"):
            ask()
