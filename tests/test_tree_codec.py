import json
import math
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genegraph.tree_codec import flatten_tree, unflatten_tree


def through_json(obj):
    tree, tensors = flatten_tree(obj)
    return unflatten_tree(json.loads(json.dumps(tree, allow_nan=False)), tensors)


def same(a, b):
    """Equal in type, order and content, at every level."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True)
        return len(a) == len(b) and all(same(x, y) for x, y in pairs)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, float):
        return repr(a) == repr(b)  # tells 0.0 from -0.0, and NaN equals NaN
    return a == b


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=5)
    | st.text(st.characters(), max_size=5) | st.sampled_from(["~", "~dict", "~tensor", "\ud800"])
)  # fmt: skip
keys = scalars.filter(lambda key: key == key)
trees = st.recursive(
    scalars | st.sets(st.integers(), max_size=3) | st.builds(torch.tensor, st.integers(0, 9)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(trees)
def test_any_tree_comes_back(tree):
    assert same(through_json(tree), tree)


EXAMPLES = [
    {"~tensor": "0"},
    {"~dict": 1, "b": 2},
    {1: "a", "1": "b", False: "c", None: "d", (1, 2): "e", 0.5: "f", b"g": "h"},
    OrderedDict([("b", 1), ("a", 2)]),
    {"b": 1, "a": 2},
    [10**5000, -(2**63), 2**63, -0.0, math.inf, -math.inf, math.nan, 5e-324],
    [torch.Size([2, 3]), Path("a/b"), {"x", "y"}, set(), (), [], {}],
    "\ud800\udc00",
    [torch.ones(2, dtype=d) for d in (torch.bool, torch.uint8, torch.bfloat16, torch.int64)],
    [torch.tensor(3.5), torch.zeros(0, 2)],
    [np.arange(6).reshape(2, 3)[:, ::2], np.float32([1.5]), np.array(True), np.uint16([7])],
]


@pytest.mark.parametrize("tree", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_come_back(tree):
    assert same(through_json(tree), tree)


def test_json_things_stand_for_themselves():
    tree = {"a": [1, 2.5, None, True, "text"], "b": {"c": {}}}
    assert flatten_tree(tree) == (tree, {})


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a")],
)
def test_numpy_scalars_become_plain(scalar, plain):
    assert same(through_json([scalar]), [plain])


def test_state_dicts_keep_their_versions():
    state = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1)).state_dict()
    found = through_json(state)
    assert same(found, state)
    assert same(found._metadata, state._metadata)


def test_parameters_become_tensors():
    found = through_json(torch.nn.Parameter(torch.ones(2)))
    assert type(found) is torch.Tensor
    assert not found.requires_grad


def test_strided_arrays_and_originals_are_independent():
    array = np.arange(3)
    found = through_json(array)
    found[0] = 9
    assert array[0] == 0


@pytest.mark.parametrize(
    ("obj", "where", "what"),
    [
        ({"callbacks": {"Early": {"foo": len}}}, "callbacks.Early.foo", "builtin_function"),
        ([1, (object(),)], "1.0", "type object"),
        ({"a": Counter()}, "a", "type Counter"),
        ({(object,): 1}, r"\(key\).0", "type type"),
        (1 + 2j, "the object", "type complex"),
        ({"a": np.array(["x"])}, "a", "numpy array of dtype <U1"),
        ({"a": np.longdouble(1)}, "a", "longdouble"),
        ({"a": np.datetime64(1, "D")}, "a", "type date"),
        ({"a": torch.ones(2).to_sparse()}, "a", "layout torch.sparse_coo"),
        ({"a": torch.float32}, "a", "type dtype"),
    ],
)
def test_anything_else_is_refused_with_its_place(obj, where, what):
    with pytest.raises(TypeError, match=f"^{where}: cannot store.*{what}"):
        flatten_tree(obj)


def test_an_object_inside_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(ValueError, match="more than 100 levels deep; does the object contain"):
        flatten_tree(loop)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {1: x}])
def test_a_hundred_levels_come_back(wrap):
    tree = 7
    for _ in range(100):
        tree = wrap(tree)
    assert same(through_json(tree), tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"~unknown": 1},
        {"~tuple": [], "b": 1},
        {"a": 1, "~tuple": []},
        {"~tuple": "abc"},
        {"~tensor": "5"},
        {"~tensor": ["0"]},
        {"~array": 0},
        {"~dict": [["key", 1, 2]]},
        {"~dict": [1]},
        {"~dict": [[["a", "list"], 1]]},
        {"~ordered": {"a": 1}},
        {"~state_dict": [[]]},
        {"~state_dict": ["ab", {}]},
        {"~set": [[1]]},
        {"~size": ["a"]},
        {"~float": "1.5"},
        {"~int": "five"},
        {"~bytes": "0"},
        {"~text": "ff"},
        json.loads("[" * 300 + "]" * 300),
    ],
)
def test_malformed_trees_are_refused(tree):
    with pytest.raises(ValueError, match="stored tree is malformed"):
        unflatten_tree(tree, {"0": torch.ones(1)})
