from itertools import chain

import pytest
import torch

from genegraph.clipping import clip_parts


def parts(scale=1.0):
    """Three parts; one weight of the second has no gradient, the third is a single number."""
    generator = torch.Generator().manual_seed(0)
    shapes = [[(4, 3), (4,)], [(2, 2), (5,), (3,)], [()]]
    made = [[torch.nn.Parameter(torch.zeros(shape)) for shape in part] for part in shapes]
    for weight in (weight for part in made for weight in part):
        weight.grad = torch.randn(weight.shape, generator=generator) * scale
    made[1][1].grad = None
    return made


@pytest.mark.parametrize("scale", [1e-3, 0.3, 50.0])
def test_agrees_with_torch_part_by_part(scale):
    ours, theirs = parts(scale), parts(scale)
    clip_parts(ours, 1.0)
    for part in theirs:
        torch.nn.utils.clip_grad_norm_(part, 1.0)
    for a, b in zip(chain(*ours), chain(*theirs), strict=True):
        if b.grad is None:
            assert a.grad is None
        else:
            assert torch.equal(a.grad, b.grad)


def test_no_gradients_at_all():
    made = parts()
    for weight in chain(*made):
        weight.grad = None
    clip_parts(made, 1.0)
    clip_parts([[], made[0]], 1.0)
    assert all(weight.grad is None for weight in chain(*made))


def test_a_gradient_that_is_no_number_is_not_hidden():
    made = parts()
    made[0][1].grad[2] = float("nan")
    untouched = made[1][0].grad.clone()
    clip_parts(made, 100.0)
    assert made[0][0].grad.isnan().all()
    assert torch.equal(made[1][0].grad, untouched)
