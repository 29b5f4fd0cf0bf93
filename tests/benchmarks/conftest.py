"""A benchmark's module, loaded from its file."""

import importlib.util
import sys

import pytest
import torch


@pytest.fixture
def script(request, monkeypatch):
    """The benchmark that the test's module names in SCRIPT."""
    path = request.module.SCRIPT
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location(f"benchmark_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)
