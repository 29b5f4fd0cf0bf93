"""The page of promises."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import reliability_page

    yield reliability_page
    for name in ("reliability_page", "reliability_promises", "common"):
        sys.modules.pop(name, None)


def test_the_page_is_up_to_date_and_every_test_is_there(script):
    assert script.PAGE.read_text() == script.page(), "run: python benchmarks/reliability_page.py"


def test_a_test_that_is_not_there_is_noticed(script):
    promised = {"a": [script.Promise("x", ("test_graph.py::test_nothing_of_this_name",))]}
    with pytest.raises(LookupError, match="test_nothing_of_this_name"):
        script.check_tests(promised)
    with pytest.raises(FileNotFoundError):
        script.check_tests({"a": [script.Promise("x", ("test_no_file.py::test_x",))]})


def test_every_promise_has_a_test(script):
    promised = [each for group in script.PROMISES.values() for each in group]
    assert len(promised) > 30
    assert all(each.tests for each in promised)
