"""Lightning checkpoints as safetensors files, so that resuming never unpickles anything."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from genegraph.safefile import flatten_tree, read_safe, unflatten_tree, write_safe

_FORMAT = 1


class SafeCheckpointIO(CheckpointIO):
    """Lets a Lightning ``Trainer`` write and read its checkpoints without pickle.

    A checkpoint holds everything that training needs to go on as if it had never stopped:
    weights, optimizers, learning rate schedules, loops and callbacks. All of it must be data;
    a callback or schedule whose state holds a function or another object is refused, with the
    place named. Only the trainer reads such files: ``load_from_checkpoint`` of a module does
    not ask this class.

    Example:
        >>> import tempfile
        >>> plugin = SafeCheckpointIO()  # for Trainer(plugins=[plugin])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plugin.save_checkpoint({"epoch": 3, "lr": (0.1, 0.2)}, f"{folder}/last.ckpt")
        ...     plugin.load_checkpoint(f"{folder}/last.ckpt")
        {'epoch': 3, 'lr': (0.1, 0.2)}
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,
    ) -> None:
        """Writes one file, all of it or nothing; makes its folder if need be."""
        if storage_options is not None:
            raise TypeError(
                "'storage_options' must be None: checkpoints are plain local files (got "
                f"{storage_options!r})."
            )
        tree, tensors = flatten_tree(dict(checkpoint))
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_safe(path, tensors, {"tree": tree}, kind="checkpoint", version=_FORMAT)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: str | torch.device | Callable[..., Any] | dict[str, Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Reads a checkpoint; ``weights_only`` changes nothing, as nothing is ever unpickled.

        Args:
            path: The file.
            map_location: The device for all tensors; ``None`` leaves them on the CPU, from
                where Lightning moves them.
            weights_only: Ignored.

        Returns:
            The checkpoint as it was saved.

        Raises:
            TypeError: If ``map_location`` is not a device.
            ValueError: If the file is not a checkpoint of genegraph, or damaged.
        """
        if not isinstance(map_location, str | torch.device | None):
            raise TypeError(
                f"'map_location' must be a device or None (got {type(map_location).__name__})."
            )
        tensors, meta = read_safe(path, kind="checkpoint", version=_FORMAT)
        if map_location is not None:
            tensors = {name: tensor.to(map_location) for name, tensor in tensors.items()}
        checkpoint = unflatten_tree(meta.get("tree"), tensors)
        if not isinstance(checkpoint, dict):
            raise ValueError(f"{path} must hold a dict (got {type(checkpoint).__name__}).")
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Deletes the file; one that is gone already is fine."""
        Path(path).unlink(missing_ok=True)
