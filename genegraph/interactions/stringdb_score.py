"""Combines the evidence channels of STRING into one score, as STRING does."""

from collections.abc import Mapping, Sequence

import numpy as np

from genegraph.interactions.pairs import Floats

PRIOR = 0.041


def without_prior(score: Floats) -> Floats:
    r"""Takes the prior out of a score in 0..1: :math:`\max(0, (s - p) / (1 - p))`."""
    corrected: Floats = np.maximum(0.0, (score - PRIOR) / (1.0 - PRIOR))
    return corrected


def with_prior(score: Floats) -> Floats:
    r"""Puts the prior back, once: :math:`s + p\,(1 - s)`."""
    return score + PRIOR * (1.0 - score)


def combine_channels(
    evidence: Mapping[str, Sequence[Floats]], homology: Floats | None = None
) -> tuple[Floats, dict[str, Floats]]:
    r"""Combines channels as if they were independent evidence.

    .. math::
        s = S + p\,(1 - S), \qquad S = 1 - \prod_c (1 - s_c')

    where :math:`s_c'` is a channel's score without the prior :math:`p = 0.041`; direct and
    transferred evidence of one channel are joined by the same product first.

    Args:
        evidence: For each channel its columns in 0..1: direct, transferred, or both.
        homology: Similarity of the two proteins in 0..1.  When given, cooccurence and
            textmining are multiplied by ``1 - homology``.

    Returns:
        The combined score, and one score per channel.  Both are cut to three decimals as in
        STRING's files, and are 0 where there is no evidence above the prior.
    """
    by_channel: dict[str, Floats] = {}
    absent = 1.0
    for channel, parts in evidence.items():
        support = 1.0 - np.prod([1.0 - without_prior(part) for part in parts], axis=0)
        if homology is not None and channel in ("cooccurence", "textmining"):
            support = support * (1.0 - homology)
        by_channel[channel] = _published(support)
        absent = absent * (1.0 - support)
    return _published(1.0 - np.asarray(absent)), by_channel


def _published(support: Floats) -> Floats:
    thousandths = np.floor(with_prior(support) * 1000 + 1e-6)
    return np.where(support > 0, thousandths / 1000, 0.0)
