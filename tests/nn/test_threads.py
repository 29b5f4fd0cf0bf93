import threading

import pytest
import torch

from genegraph.nn.threads import for_blocks


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 100])
def test_blocks_cover_everything_once_whatever_the_threads(threads, number):
    seen, lock = [], threading.Lock()

    def kernel(first, last):
        with lock:
            seen.append((first, last))

    for_blocks(kernel, number, 8)
    assert sorted(seen) == [(i, min(i + 8, number)) for i in range(0, number, 8)]


def test_an_error_in_any_block_is_raised(threads):
    def kernel(first, last):
        if first == 16:
            raise ValueError("block 16")

    with pytest.raises(ValueError, match="block 16"):
        for_blocks(kernel, 40, 8)
