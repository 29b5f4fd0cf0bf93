"""Nested Python objects, such as a training checkpoint, as JSON plus tensors, and back.

JSON knows objects with text keys, lists, text, numbers, true, false and null. These stand for
themselves. Anything else becomes an object with a single key that begins with ``~``:

=============================  =====================================================
``{"~tensor": name}``          a tensor of the table
``{"~array": name}``           a numpy array, as a tensor of the table
``{"~dict": [[key, value]]}``  a dict that JSON cannot hold: other keys, or a ``~``
``{"~ordered": [[k, v]]}``     an ``OrderedDict``
``{"~state_dict": [...]}``     an ``OrderedDict`` as ``[pairs, _metadata]``
``{"~tuple": [...]}``          likewise ``~set`` and ``~size`` (``torch.Size``)
``{"~float": "inf"}``          ``inf``, ``-inf`` or ``nan``
``{"~int": "0x..."}``          an integer beyond 64 bits
``{"~bytes": "00ff"}``         bytes in hexadecimal
``{"~text": "edb280"}``        text that UTF-8 cannot hold, as bytes in hexadecimal
``{"~path": "a/b"}``           a ``pathlib.Path``
=============================  =====================================================
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch

_MAX_DEPTH = 100
_STORABLE = {
    torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32,
    torch.uint64, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2,
}  # fmt: skip

Tensors = dict[str, torch.Tensor]


def flatten_tree(obj: Any) -> tuple[Any, Tensors]:
    """Turns a nested object into a JSON tree and a table of its tensors.

    Kept as they are: dicts and ordered dicts with any scalar keys, lists, tuples, sets of
    scalars, ``None``, bools, integers of any size, floats with infinity and NaN, text, bytes,
    paths, ``torch.Size``, dense tensors and numeric numpy arrays. Changed: a numpy scalar
    becomes a Python scalar, a parameter a tensor without gradient. An object that appears
    twice is stored twice.

    Args:
        obj: The object, at most 100 levels deep.

    Returns:
        What ``json`` can hold, and the tensors by the names used in it.

    Raises:
        TypeError: If anything else is inside; the message says where.
        ValueError: If it is nested too deeply, as it is when it contains itself.

    Example:
        >>> tree, tensors = flatten_tree({"step": 3, "betas": (0.9, 0.99), "w": torch.ones(2)})
        >>> tree
        {'step': 3, 'betas': {'~tuple': [0.9, 0.99]}, 'w': {'~tensor': '0'}}
        >>> tensors
        {'0': tensor([1., 1.])}
    """
    tensors: Tensors = {}
    return _encode(obj, (), tensors), tensors


def unflatten_tree(tree: Any, tensors: Tensors) -> Any:
    """Builds the object that `flatten_tree` was given.

    Args:
        tree: The JSON tree.
        tensors: The tensors by name; used, not copied.

    Returns:
        The nested object.

    Raises:
        ValueError: If the tree is malformed or names a tensor that is not there.

    Example:
        >>> unflatten_tree(*flatten_tree({1: {"a", "b"}})) == {1: {"a", "b"}}
        True
    """
    try:
        return _decode(tree, tensors, 0)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The stored tree is malformed ({error}); it was not written by flatten_tree, or "
            "was changed afterwards."
        ) from error


def check_storable(tensor: torch.Tensor, where: str) -> None:
    """Raises a TypeError if safetensors has no room for such a tensor."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.dtype not in _STORABLE:
        raise TypeError(
            f"{where}: cannot store a tensor with dtype {tensor.dtype}, layout {tensor.layout} "
            f"on device {tensor.device}; only dense tensors of the usual formats fit."
        )


def _encode(obj: Any, at: tuple[str, ...], tensors: Tensors) -> Any:
    if len(at) > _MAX_DEPTH:
        raise ValueError(
            f"{'.'.join(at[:5])}...: nested more than {_MAX_DEPTH} levels deep; does the object "
            "contain itself?"
        )
    if isinstance(obj, np.generic):
        obj = obj.item()
    kind = type(obj)
    if obj is None or kind is bool:
        return obj
    if kind in _SCALARS:
        return _SCALARS[kind](obj)
    if isinstance(obj, PurePath):
        return {"~path": str(obj)}
    if kind is dict or kind is OrderedDict:
        return _encode_dict(obj, at, tensors)
    if kind is set:
        members = [_encode(member, (*at, "(set)"), tensors) for member in obj]
        return {"~set": sorted(members, key=repr)}  # so that equal sets give equal files
    if kind in (list, tuple, torch.Size):
        members = [_encode(item, (*at, str(i)), tensors) for i, item in enumerate(obj)]
        return members if kind is list else {_SEQUENCE_TAGS[kind]: members}
    if kind is np.ndarray:
        return {"~array": _add_tensor(_from_numpy(obj, at), at, tensors)}
    if kind in (torch.Tensor, torch.nn.Parameter):
        return {"~tensor": _add_tensor(obj.detach(), at, tensors)}
    raise TypeError(
        f"{'.'.join(at) or 'the object'}: cannot store an object of type {kind.__name__}; turn "
        "it into numbers, text, tensors, lists or dicts first."
    )


def _encode_text(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"~text": text.encode("utf-8", "surrogatepass").hex()}
    return text


_SCALARS: dict[type, Callable[[Any], Any]] = {
    int: lambda number: number if -(2**63) <= number < 2**63 else {"~int": hex(number)},
    float: lambda number: number if math.isfinite(number) else {"~float": repr(number)},
    str: _encode_text,
    bytes: lambda content: {"~bytes": content.hex()},
}
_SEQUENCE_TAGS: dict[type, str] = {tuple: "~tuple", torch.Size: "~size"}


def _encode_dict(obj: dict[Any, Any], at: tuple[str, ...], tensors: Tensors) -> Any:
    pairs = [
        [_encode(key, (*at, "(key)"), tensors), _encode(value, (*at, str(key)), tensors)]
        for key, value in obj.items()
    ]
    if isinstance(obj, OrderedDict):
        if hasattr(obj, "_metadata"):  # a module's state_dict keeps versions there
            return {"~state_dict": [pairs, _encode(obj._metadata, (*at, "_metadata"), tensors)]}
        return {"~ordered": pairs}
    if all(isinstance(key, str) and not key.startswith("~") for key, _ in pairs):
        return dict(pairs)
    return {"~dict": pairs}


def _add_tensor(tensor: torch.Tensor, at: tuple[str, ...], tensors: Tensors) -> str:
    check_storable(tensor, ".".join(at) or "the object")
    name = str(len(tensors))
    tensors[name] = tensor
    return name


def _from_numpy(array: np.ndarray[Any, Any], at: tuple[str, ...]) -> torch.Tensor:
    try:
        return torch.from_numpy(array.copy(order="C"))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{'.'.join(at) or 'the object'}: cannot store a numpy array of dtype {array.dtype}."
        ) from error


def _decode(tree: Any, tensors: Tensors, depth: int) -> Any:
    if depth > 2 * _MAX_DEPTH + 2:  # a tag adds a level of JSON, and so do its pairs
        raise ValueError("it is nested too deeply")

    def read(branch: Any) -> Any:
        return _decode(branch, tensors, depth + 1)

    if isinstance(tree, list):
        return [read(branch) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    tag = next((key for key in tree if key.startswith("~")), None)
    if tag is None:
        return {key: read(branch) for key, branch in tree.items()}
    if len(tree) > 1 or tag not in _READERS:
        raise ValueError(f"unknown tag {tag!r}")
    expected, reader = _READERS[tag]
    if not isinstance(tree[tag], expected):
        raise ValueError(f"{tag!r} with a {type(tree[tag]).__name__}")
    if expected is str:
        return reader(tree[tag], tensors)
    return reader(tree[tag], read)


def _read_pairs(pairs: Any, read: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    if not isinstance(pairs, list):
        raise ValueError("pairs that are no list")
    return [(read(key), read(value)) for key, value in pairs]


def _read_state_dict(branch: Any, read: Callable[[Any], Any]) -> OrderedDict[Any, Any]:
    pairs, metadata = branch
    state = OrderedDict(_read_pairs(pairs, read))
    state._metadata = read(metadata)  # type: ignore[attr-defined]
    return state


def _read_special_float(text: str, _: Tensors) -> float:
    if text not in ("inf", "-inf", "nan"):
        raise ValueError(f"'~float' with {text!r}")
    return float(text)


_READERS: dict[str, tuple[type, Callable[[Any, Any], Any]]] = {
    "~tensor": (str, lambda name, tensors: tensors[name]),
    "~array": (str, lambda name, tensors: tensors[name].numpy()),
    "~dict": (list, lambda pairs, read: dict(_read_pairs(pairs, read))),
    "~ordered": (list, lambda pairs, read: OrderedDict(_read_pairs(pairs, read))),
    "~state_dict": (list, _read_state_dict),
    "~tuple": (list, lambda items, read: tuple(map(read, items))),
    "~set": (list, lambda items, read: set(map(read, items))),
    "~size": (list, lambda items, read: torch.Size(map(read, items))),
    "~float": (str, _read_special_float),
    "~int": (str, lambda text, _: int(text, 16)),
    "~bytes": (str, lambda text, _: bytes.fromhex(text)),
    "~text": (str, lambda text, _: bytes.fromhex(text).decode("utf-8", "surrogatepass")),
    "~path": (str, lambda text, _: Path(text)),
}
