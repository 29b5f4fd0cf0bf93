"""Models and checkpoints with their bytes or their parts changed, and the hash with them."""

import json
from pathlib import Path

import fuzz_seeds as seeds
import numpy as np
import torch
from fuzz_mutation import Choices, change_tree, put
from fuzz_seeds import SEEDS
from safetensors.torch import load

from genegraph import GeneGCNClassifier, safefile
from genegraph.checkpoint_io import SafeCheckpointIO

QUERY = seeds.small_cells()[:4].copy()


def resealed(content: bytes) -> bytes:
    """Puts the right hash into a file of genegraph, where its parts can be found."""
    try:
        text, old = safefile._read_header("", content)
        return content.replace(old.encode(), safefile._hash(text, load(content)).encode(), 1)
    except Exception:
        return content


def model_bytes(content: bytes, folder: Path) -> None:
    """Loads a model whose bytes were changed, and its hash with them."""
    _load_model(put(folder, "model", resealed(content)))


def model_parts(data: bytes, folder: Path) -> None:
    """Loads a model whose settings, classes, shapes or weights were changed; and predicts."""
    choices = Choices(data)
    _load_model(_sealed_parts(choices, choices.of(SEEDS["model_parts"]), folder))


def _load_model(path: Path) -> None:
    model = GeneGCNClassifier.load(path)
    network = model.network_.state_dict()
    assert not any(tensor.is_meta for tensor in network.values()), "a weight without values"
    probabilities = model.predict_proba(QUERY)
    assert probabilities.shape == (QUERY.n_obs, len(model.classes_))
    assert np.isfinite(probabilities).all()


def checkpoint_parts(data: bytes, folder: Path) -> None:
    """Loads a checkpoint whose tree or tensors were changed."""
    choices = Choices(data)
    path = _sealed_parts(choices, choices.of(SEEDS["checkpoint_parts"]), folder)
    assert isinstance(SafeCheckpointIO().load_checkpoint(path), dict)


def checkpoint_bytes(content: bytes, folder: Path) -> None:
    """Loads a checkpoint whose bytes were changed, and its hash with them."""
    SafeCheckpointIO().load_checkpoint(put(folder, "last.ckpt", resealed(content)))


def _sealed_parts(choices: Choices, content: bytes, folder: Path) -> Path:
    text, _ = safefile._read_header("", content)
    document, tensors = json.loads(text), load(content)
    meta, version = document["meta"], document["format"]
    for _ in range(choices.rounds()):
        what = choices.below(5)
        if what == 0 and tensors:
            name = choices.of(sorted(tensors))
            changed = _changed_tensor(tensors.pop(name), choices)
            if changed is not None:
                tensors[name] = changed
        elif what == 1 and choices.below(8) == 0:
            version = choices.of((version + 1, version - 1, 0, 10**9))
        else:
            branch = meta  # each part of a model as often as another, however small it is
            for _ in range(choices.of((1, 2, 2, 2, 2))):
                inside = [
                    part for part in branch.values() if isinstance(part, dict | list) and part
                ]
                branch = choices.of(inside) if inside and isinstance(branch, dict) else branch
                if isinstance(branch, list):
                    break
            change_tree(branch, choices)
    try:
        safefile.write_safe(
            folder / "sealed", tensors, meta, kind=document["kind"], version=version
        )
    except (TypeError, ValueError) as error:  # text or numbers that JSON does not hold
        raise ValueError("cannot be written") from error
    return folder / "sealed"


def _changed_tensor(tensor: torch.Tensor, choices: Choices) -> torch.Tensor | None:
    what = choices.below(9)
    if what == 0:
        return None if choices.below(4) == 0 else torch.zeros_like(tensor)
    if what == 1:
        return tensor.to(choices.of((torch.float64, torch.int64, torch.bool, torch.bfloat16)))
    if what == 2:
        return tensor.reshape(-1)
    if what == 3:
        return tensor.unsqueeze(0)
    if what == 4:
        return tensor[:0] if tensor.dim() else tensor.new_zeros(0)
    if what == 5 and tensor.is_floating_point():
        return torch.full_like(tensor, choices.of((float("nan"), float("inf"), -1e38)))
    if what == 6 and tensor.dtype in (torch.int32, torch.int64):
        return torch.full_like(tensor, choices.of((-1, 10**6, 127)))
    return tensor.transpose(0, -1) if tensor.dim() > 1 else torch.cat([tensor.view(-1)] * 2)
