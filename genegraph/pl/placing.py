"""Where names go so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genegraph.pl import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

STEPS = 2000


def spread(centres: Floats, sizes: Floats) -> Floats:
    """Moves rectangles apart, as little as it takes, until none covers another.

    Two that overlap are pushed half the overlap each, along the axis in which it is smaller.

    Args:
        centres: ``[num_rectangles, 2]``.
        sizes: Their widths and heights, in the same unit.

    Returns:
        The new centres.

    Example:
        >>> spread(np.array([[0.0, 0.0], [1.0, 0.2]]), np.full((2, 2), 2.0)).round(1)[:, 0].tolist()
        [-0.5, 1.5]
    """
    places = np.array(centres, dtype=np.float64)
    # Rectangles on one spot have no direction in which to part.
    places += 1e-6 * sizes.mean() * np.random.default_rng(0).standard_normal(places.shape)
    first, second = np.triu_indices(len(places), 1)
    needed = (sizes[first] + sizes[second]) / 2
    for _ in range(STEPS):
        between = places[second] - places[first]
        overlap = needed - np.abs(between)
        pairs = np.flatnonzero((overlap > 1e-6 * needed).all(axis=1))
        if len(pairs) == 0:
            break
        along = overlap[pairs].argmin(axis=1)
        push = (overlap[pairs, along] / 2 + 1e-6) * np.where(between[pairs, along] < 0, -1, 1)
        np.add.at(places, (first[pairs], along), -push)
        np.add.at(places, (second[pairs], along), push)
    return places


def lay_out(edges: Sequence[tuple[str, str]], nodes: Sequence[str], sizes: Floats) -> Floats:
    """Lays out a graph whose nodes are rectangles, none over another.

    Each connected part by itself, after Kamada and Kawai (without a path between them, two nodes
    have no distance); the parts then side by side, the largest first.

    Args:
        edges: Pairs of nodes.
        nodes: Their names.
        sizes: Their widths and heights.

    Returns:
        The centres, in the unit of ``sizes``.

    Example:
        >>> centres = lay_out([("A", "B")], ["A", "B", "C"], np.ones((3, 2)))
        >>> bool((np.abs(centres[0] - centres[2]) >= 1).any())
        True
    """
    import networkx as nx

    g = nx.Graph()
    g.add_nodes_from(nodes)
    g.add_edges_from(edges)
    row_of = {node: row for row, node in enumerate(nodes)}
    parts = sorted((sorted(part) for part in nx.connected_components(g)), key=lambda p: -len(p))
    area = sizes.prod(axis=1)
    room = 2.0 * np.sqrt(area.sum())
    centres = np.zeros((len(nodes), 2))
    left = top = depth = 0.0
    for part in parts:
        rows = [row_of[node] for node in part]
        # A subgraph gives its nodes in an order that differs from run to run.
        ordered = nx.Graph()
        ordered.add_nodes_from(part)
        ordered.add_edges_from(g.edges(part))
        found = nx.kamada_kawai_layout(ordered)
        half = np.sqrt(area[rows].sum())
        local = spread(half * np.array([found[node] for node in part]), sizes[rows])
        low, high = (local - sizes[rows] / 2).min(axis=0), (local + sizes[rows] / 2).max(axis=0)
        width, height = high - low
        if left > 0 and left + width > room:
            left, top, depth = 0.0, top - depth, 0.0
        centres[rows] = local - [low[0] - left, high[1] - top]
        left, depth = left + width, max(depth, height)
    return centres


def number_points(ax: Axes, points: Floats, numbers: Sequence[str]) -> None:
    """Writes numbers on points, moved apart where they would cover each other.

    Call it last: a picture that changes its size afterwards may bring them together.

    Args:
        ax: The axes, laid out.
        points: ``[num_points, 2]``, in the axes' data.
        numbers: One for each point.
    """
    from matplotlib.patheffects import withStroke

    if len(numbers) == 0:
        return
    texts = [ax.text(0, 0, number, ha="center", va="center") for number in numbers]
    for text in texts:
        text.set(color=style.INK, fontsize=style.TEXT_SIZE, fontweight="bold", zorder=4)
        text.set_path_effects([withStroke(linewidth=2.2, foreground="white")])
    boxes = [text.get_window_extent() for text in texts]
    sizes = np.array([[box.width + 4, box.height + 2] for box in boxes])
    room = ax.get_window_extent()
    pixels = np.clip(ax.transData.transform(points), room.min + sizes / 2, room.max - sizes / 2)
    moved = ax.transData.inverted().transform(spread(pixels, sizes))
    for text, place in zip(texts, moved, strict=True):
        text.set_position(place)
