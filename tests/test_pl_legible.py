"""Every picture, at 3, 10 and 50 classes: no name covers another, none is cut off."""

import os
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from genegraph import GeneGCNClassifier, GeneGraph, pl
from genegraph.colors import class_colors
from genegraph.pl import style
from genegraph.pl.placing import lay_out, spread
from genegraph.reliability import Reliability

anndata = pytest.importorskip("anndata")

LONG = "CD8+/CD45RA+ naive cytotoxic T cell"
GENES = [f"ENSG{i:011d}" for i in range(40)]


def boxes(ax):
    """Each text as a rectangle that may lie aslant: its corners, in pixels."""
    figure = style.root(ax)
    with patch.object(Text, "draw", autospec=True, side_effect=Text.draw) as draw:
        figure.draw_without_rendering()
    drawn = {id(call.args[0]): call.args[0] for call in draw.call_args_list}
    found = []
    for text in drawn.values():
        if not text.get_text().strip() or not text.get_visible():
            continue
        around = text.get_window_extent()
        centre = np.array([around.x0 + around.x1, around.y0 + around.y1]) / 2
        angle = np.deg2rad(text.get_rotation())
        text.set_rotation(0)
        flat = text.get_window_extent()
        text.set_rotation(np.rad2deg(angle))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        half = np.array([flat.width, flat.height]) / 2
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        found.append((text.get_text(), corners @ turn.T + centre))
    return found


def apart(a, b):
    """Whether a line parallel to some side of either separates two rectangles."""
    for corners in (a, b):
        for normal in (corners[1] - corners[0], corners[2] - corners[1]):
            if not normal.any():
                continue
            normal = normal / np.linalg.norm(normal)
            x, y = a @ normal, b @ normal
            if x.max() <= y.min() + 0.5 or y.max() <= x.min() + 0.5:  # half a pixel is no overlap
                return True
    return False


def check(ax):
    texts = boxes(ax)
    assert texts
    page = style.root(ax).bbox
    for says, corners in texts:
        assert (corners >= -0.5).all(), f"cut off: {says!r}"
        assert (corners <= page.max + 0.5).all(), f"cut off: {says!r}"
    for i, (says, corners) in enumerate(texts):
        for other, theirs in texts[:i]:
            assert apart(corners, theirs), f"{says!r} covers {other!r}"


def cells(num_classes):
    rng = np.random.default_rng(0)
    names = np.array([f"{LONG}, number {i}" for i in range(num_classes)])
    codes = np.arange(20 * num_classes) % num_classes
    named = np.where(rng.random(len(codes)) < 0.3, rng.permutation(codes), codes)
    labels = names[named].astype(object)
    labels[::17] = "unknown"
    adata = anndata.AnnData(
        rng.poisson(2.0, (len(codes), len(GENES))).astype("float32"),
        pd.DataFrame(index=[f"cell{i}" for i in range(len(codes))]),
        pd.DataFrame(index=GENES),
    )
    adata.obs["true"] = pd.Categorical(names[codes])
    adata.obs["genegraph"] = pd.Categorical(labels)
    adata.obs["genegraph_confidence"] = rng.random(len(codes))
    adata.obs["genegraph_novelty"] = rng.random(len(codes))
    # Classes lie on top of each other: the worst case for what stands at their middle.
    adata.obsm["X_umap"] = rng.normal(size=(len(codes), 2)) + 0.02 * codes[:, None]
    return adata


def graph():
    pairs = [(i, (i + k) % 30) for i in range(30) for k in (1, 2, 7)]
    index = np.array(pairs + [(b, a) for a, b in pairs]).T
    return GeneGraph(GENES, index)


def explained(num_classes, num_pairs=60, ends=("gene_a", "gene_b"), value="importance", seed=1):
    rng = np.random.default_rng(seed)
    every = [(a, b) for a in GENES for b in GENES if a < b]
    parts = []
    for k in range(num_classes):
        chosen = [every[i] for i in rng.permutation(len(every))[:num_pairs]]
        known = rng.random(num_pairs) < 0.6
        part = pd.DataFrame(chosen, columns=list(ends))
        part["class"] = f"{LONG}, number {k}"
        part[value] = rng.exponential(size=num_pairs)
        part["prior_weight"] = np.where(known, rng.uniform(0.15, 1, num_pairs), 0.0)
        part["in_prior"] = known
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def fitted(validated):
    """What pictures of training ask of a classifier."""
    history = [
        {"epoch": i + 1, "train_loss": 2.0 / (i + 1), "train_accuracy": 1 - 0.5 / (i + 1)}
        for i in range(30)
    ]
    if validated:
        for row in history:
            row |= {"val_loss": row["train_loss"] + 0.1, "val_accuracy": 0.9}
    model = GeneGCNClassifier()
    model.history_ = history
    return model


@pytest.mark.parametrize("num_classes", [3, 10, 50])
@pytest.mark.parametrize("picture", ["confusion", "counts", "label", "confidence", "novelty"])
def test_pictures_of_cells(picture, num_classes):
    adata = cells(num_classes)
    if picture in ("confusion", "counts"):
        true, named = adata.obs["true"].astype(str), adata.obs["genegraph"].astype(str)
        check(pl.confusion(true, named, normalize=picture == "confusion"))
    else:
        check(pl.umap(adata, color=picture))


@pytest.mark.parametrize("num_classes", [3, 10, 50])
def test_pictures_of_the_graph(num_classes):
    check(pl.graph_coverage(graph(), cells(num_classes), "true"))
    check(pl.degrees(graph()))


@pytest.mark.parametrize("num_classes", [3, 10, 50])
def test_pictures_of_confidence(num_classes):
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.3, 1, 40 * num_classes)
    shown = Reliability.of(rng.random(len(sure)) < sure, np.ones(len(sure), bool), sure)
    check(pl.reliability(shown))
    check(pl.coverage(shown))


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_pictures_of_training(metric, validated):
    check(pl.history(fitted(validated), metric))


@pytest.mark.parametrize("top", [1, 12, 50])
@pytest.mark.parametrize("sized", [False, True])
def test_pictures_of_interactions(top, sized):
    table = explained(3)
    label = f"{LONG}, number 0"
    adata = cells(3) if sized else None
    check(pl.subnetwork(table, label, adata, "true", top=top))
    check(pl.subnetwork(table, table["gene_a"][0], adata, top=top))
    directed = explained(3, ends=("source", "target"), value="attention")
    check(pl.subnetwork(directed, label, adata, "true", top=top))
    check(pl.attention(directed, label, top=min(top, 12)))


@pytest.mark.parametrize("seed", [1, 11, 47, 59, 62, 70])
def test_a_network_on_small_axes_shrinks_instead_of_overlapping(seed):
    # Fine pixels: at coarse ones the smallest letters are drawn wider than they are.
    ax = Figure(figsize=(3, 3), dpi=300).add_subplot()
    pl.subnetwork(explained(1, seed=seed), f"{LONG}, number 0", ax=ax, top=20)
    names = [(text, box) for text, box in boxes(ax) if text in GENES]
    assert len(names) > 10
    for i, (_, box) in enumerate(names):
        assert all(apart(box, other) for _, other in names[:i])


def test_a_network_is_laid_out_alike_in_every_run():
    # The order of a set of strings differs from run to run.
    code = """
import numpy as np
from genegraph.pl.placing import lay_out
genes = [f"G{i}" for i in range(60)]
edges = [(genes[i], genes[(i * i + 3) % 11]) for i in range(11)]
print(lay_out(edges, genes, np.ones((60, 2)))[:11].tolist())
"""
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_the_check_finds_what_overlaps_and_what_is_cut_off():
    ax = Figure().add_subplot()
    ax.text(0.5, 0.5, "one name")
    ax.text(0.52, 0.51, "another")
    with pytest.raises(AssertionError, match="covers"):
        check(ax)
    ax = Figure().add_subplot()
    ax.text(0.9, 0.5, "far too long for the room that is left")
    with pytest.raises(AssertionError, match="cut off"):
        check(ax)


def test_rectangles_are_spread_until_none_overlaps():
    rng = np.random.default_rng(0)
    centres, sizes = rng.normal(size=(60, 2)), rng.uniform(0.2, 1.5, (60, 2))
    moved = spread(centres, sizes)
    a, b = np.triu_indices(60, 1)
    overlap = (sizes[a] + sizes[b]) / 2 - np.abs(moved[a] - moved[b])
    assert (overlap.min(axis=1) <= 1e-5).all()
    assert np.array_equal(spread(10 * np.eye(2), np.ones((2, 2))).round(4), 10 * np.eye(2))


def test_parts_of_a_graph_lie_side_by_side():
    nodes = [f"n{i}" for i in range(12)]
    edges = [(nodes[i], nodes[i + 1]) for i in range(0, 12, 3)]
    sizes = np.full((12, 2), 1.0)
    centres = lay_out(edges, nodes, sizes)
    a, b = np.triu_indices(12, 1)
    assert (np.abs(centres[a] - centres[b]).max(axis=1) >= 1 - 1e-5).all()


def lightness(color):
    """L of OKLab, 0 to 1."""
    c = np.array(to_rgb(color))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    mix = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    mix += [[0.0883024619, 0.2817188376, 0.6299787005]]
    return float(np.cbrt(np.array(mix) @ linear) @ [0.2104542553, 0.7936177850, -0.0040720468])


def test_colours_can_be_told_apart_in_greyscale():
    steps = np.diff([lightness(color) for color in style.PALE_TO_DEEP])
    assert (steps < -0.05).all()
    assert lightness(style.SECOND) - lightness(style.FIRST) > 0.3
    neighbours = [lightness(color) for color in class_colors(12)]
    assert (np.abs(np.diff(neighbours)) > 0.1).all()
