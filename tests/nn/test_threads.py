import subprocess
import sys
import threading

import pytest
import torch

from genegraph.nn import threads as of_genegraph
from genegraph.nn.threads import for_blocks


@pytest.fixture(params=["1", "2", "3", "2 without OpenMP"])
def threads(request, monkeypatch):
    number, _, without = request.param.partition(" ")
    if without:
        monkeypatch.setattr(of_genegraph, "_parallel_region", lambda: None)
    before = torch.get_num_threads()
    torch.set_num_threads(int(number))
    yield int(number)
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


def test_ctrl_c_in_any_block_is_raised(threads):
    def kernel(first, last):
        if first == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_blocks(kernel, 40, 8)


@pytest.mark.parametrize("threads", ["2"], indirect=True)
def test_what_was_not_done_is_not_taken_for_done(threads, monkeypatch):
    """Ctrl-C may come where a thread has not begun yet, and nobody hears of it."""
    monkeypatch.setattr(of_genegraph, "_parallel_region", lambda: lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        for_blocks(lambda first, last: None, 40, 8)


ON_TORCH_S_THREADS = """
import os, threading, time
import torch
from genegraph.nn.threads import for_blocks
torch.set_num_threads(2)
torch.rand(2_000_000).exp()  # torch has its threads from here on
before = set(os.listdir("/proc/self/task"))
used = set()
def kernel(first, last):
    used.add(str(threading.get_native_id()))
    time.sleep(0.05)
for_blocks(kernel, 4, 1)
assert len(used) == 2, used
assert used <= before, (used, before)
assert set(os.listdir("/proc/self/task")) == before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked up in /proc")
def test_work_is_done_by_the_threads_that_torch_has_already():
    subprocess.run([sys.executable, "-c", ON_TORCH_S_THREADS], check=True, timeout=120)
