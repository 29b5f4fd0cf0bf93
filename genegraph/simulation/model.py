"""Who is who in a simulated study: modules of genes, types of cells, and what ties them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genegraph.simulation.streams import stream

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LEAST = 4  # genes of a module that interact, and cells of a type
UNKNOWN_PER_KNOWN = 2  # members of modules that no database knows, for each that they know
UNEVENNESS = 0.5  # standard deviation of the log of what modules and types weigh
GENE_DIGITS = 5
BASELINE_SD = 2.0  # of the log rates of genes


@dataclass(frozen=True)
class Genes:
    """The genes of a study, by position.

    ``module`` is -1 and ``loading`` is 0 where a gene belongs to none.
    """

    names: list[str]
    module: IntArray
    interacting: NDArray[np.bool_]
    loading: FloatArray
    baseline: FloatArray


def draw_genes(
    n_genes: int,
    n_interacting: int,
    n_modules: int,
    n_hidden: int,
    prefix: str,
    random_state: int,
) -> Genes:
    """Draws which genes make which module, and how strongly each follows it.

    Args:
        n_genes: Number of genes.
        n_interacting: How many of them the databases know.
        n_modules: Number of modules of which they know members.
        n_hidden: Number of further modules, of which they know none; numbered after the others.
        prefix: First letters of the names.
        random_state: Seed of the study.

    Returns:
        Genes named ``prefix`` and a number. The roles are drawn at random, so that the numbers
        say nothing about them.

    Example:
        >>> genes = draw_genes(100, 20, 2, 1, "SIM", random_state=0)
        >>> genes.names[0], int(genes.interacting.sum()), int((genes.module >= 0).sum())
        ('SIM00001', 20, 70)
    """
    rng = stream(random_state, "genes")
    known = allocate(n_interacting, rng.lognormal(0, UNEVENNESS, n_modules), least=LEAST)
    # A hidden module is as large as the known part of another one, where there are genes enough.
    n_others = n_genes - n_interacting
    n_secret = min(round(n_hidden * n_interacting / n_modules), n_others)
    secret = allocate(n_secret, rng.lognormal(0, UNEVENNESS, n_hidden), least=LEAST)
    n_unknown = min(UNKNOWN_PER_KNOWN * n_interacting, n_others - n_secret)
    unknown = allocate(n_unknown, known, least=0)
    ends = np.cumsum([n_interacting, n_unknown, n_secret])
    members, others, hidden, _ = np.split(rng.permutation(n_genes), ends)

    module = np.full(n_genes, -1)
    module[members] = np.repeat(np.arange(n_modules), known)
    module[others] = np.repeat(np.arange(n_modules), unknown)
    module[hidden] = np.repeat(np.arange(n_modules, n_modules + n_hidden), secret)
    interacting = np.zeros(n_genes, dtype=bool)
    interacting[members] = True
    loading = np.zeros(n_genes)
    loading[members] = rng.uniform(0.5, 1.5, n_interacting)
    loading[others] = rng.uniform(0.25, 0.75, n_unknown)
    loading[hidden] = rng.uniform(0.5, 1.5, n_secret)
    baseline = rng.normal(0, BASELINE_SD, n_genes)
    return Genes(numbered(prefix, n_genes, GENE_DIGITS), module, interacting, loading, baseline)


def draw_activities(n_types: int, n_modules: int, random_state: int) -> FloatArray:
    """Draws how active each module is in each type, from the standard normal distribution.

    Shapes:
        - output: ``(n_types, n_modules)``

    Example:
        >>> draw_activities(3, 5, random_state=0).shape
        (3, 5)
    """
    activities: FloatArray = stream(random_state, "types", 0).standard_normal((n_types, n_modules))
    return activities


def draw_labels(n_cells: int, n_types: int, random_state: int) -> NDArray[np.int32]:
    """Draws the type of every cell: uneven shares, at least four cells of each, shuffled.

    Shapes:
        - output: ``(n_cells,)``

    Example:
        >>> labels = draw_labels(100, 3, random_state=0)
        >>> len(labels), np.bincount(labels).min() >= 4
        (100, np.True_)
    """
    rng = stream(random_state, "types", 1)
    cells = allocate(n_cells, rng.lognormal(0, UNEVENNESS, n_types), least=LEAST)
    return rng.permutation(np.repeat(np.arange(n_types, dtype=np.int32), cells))


def allocate(total: int, weights: NDArray[np.generic], least: int) -> IntArray:
    """Splits a number into whole parts: ``least`` for each, and the rest by weight.

    Fractions go to the parts where they are largest.

    Args:
        total: What to split; at least ``least`` times the number of parts.
        weights: Positive weight of every part.
        least: What every part gets beforehand.

    Returns:
        The parts, which sum to ``total``.

    Example:
        >>> allocate(20, np.array([1.0, 2.0, 4.0]), least=4).tolist()
        [5, 6, 9]
    """
    rest = total - least * len(weights)
    share = rest * weights / weights.sum()
    parts: IntArray = np.floor(share).astype(np.int64)
    largest = np.argsort(parts - share, kind="stable")
    parts[largest[: rest - parts.sum()]] += 1
    parts += least
    return parts


def numbered(prefix: str, count: int, digits: int) -> list[str]:
    """Makes names that sort as their numbers do.

    Example:
        >>> numbered("type ", 3, 2)
        ['type 01', 'type 02', 'type 03']
    """
    digits = max(digits, len(str(count)))
    return [f"{prefix}{number:0{digits}d}" for number in range(1, count + 1)]
