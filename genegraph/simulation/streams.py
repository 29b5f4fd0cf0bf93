"""Streams of random numbers: one for each part of a study, independent of the others."""

import numpy as np

# The position of a part is in its seed: add new ones at the end.
PARTS = ("genes", "types", "network", "rewiring", "string", "biogrid", "library", "cells")


def stream(random_state: int, part: str, number: int = 0) -> np.random.Generator:
    """Opens the stream of one part, so that no part depends on how much another one draws.

    Args:
        random_state: Seed of the study.
        part: One of ``PARTS``.
        number: Which of the part's streams; each cell has its own.

    Returns:
        A generator at the start of its stream.

    Example:
        >>> stream(0, "cells", 7).random() == stream(0, "cells", 7).random()
        True
        >>> stream(0, "cells", 7).random() == stream(0, "cells", 8).random()
        False
    """
    key = (PARTS.index(part), number)
    return np.random.default_rng(np.random.SeedSequence(random_state, spawn_key=key))
