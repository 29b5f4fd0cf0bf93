"""Long HDF5 arrays packed with gzip, unpacked by libdeflate, which is faster than HDF5."""

from __future__ import annotations

import sys
from typing import Any

import deflate
import numpy as np
from numpy.typing import NDArray

DEFLATE, SHUFFLE = 1, 2
"""Numbers of the two filters in HDF5 files: gzip, and bytes of one rank side by side before it."""


class PackedValues:
    """Ranges of a one-dimensional HDF5 array whose chunks are packed with gzip.

    Every packed chunk is taken from the file as it is and unpacked here.  What is not as usual is
    left to HDF5, which answers in its own words: a chunk that was never written, one that is
    stored unpacked, one that is damaged.

    Args:
        dataset: The array, of which :func:`unpackable` is true.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._chunk = int(dataset.chunks[0])
        self._shuffled = bool(dataset.shuffle)

    def __getitem__(self, part: slice) -> NDArray[Any]:
        """Reads the values from ``part.start`` to ``part.stop``.

        Raises:
            RuntimeError: If a chunk unpacks to fewer values than it should hold, of which HDF5
                would make up the others.
        """
        first, last = part.start, part.stop
        found = np.empty(last - first, dtype=self._dataset.dtype)
        for start in range(first - first % self._chunk, last, self._chunk):
            values = self._unpacked(start)
            if values is None:
                return np.asarray(self._dataset[part])
            low, high = max(first, start), min(last, start + self._chunk)
            found[low - first : high - first] = values[low - start : high - start]
        return found

    def _unpacked(self, start: int) -> NDArray[Any] | None:
        """Returns the chunk that begins there, or None where HDF5 had better read it."""
        dtype: np.dtype[Any] = self._dataset.dtype
        size = self._chunk * dtype.itemsize
        try:
            left_out, packed = self._dataset.id.read_direct_chunk((start,))
            if left_out:
                return None
            raw = np.frombuffer(deflate.zlib_decompress(packed, size), np.uint8)
        except (OSError, RuntimeError, MemoryError, deflate.DeflateError):
            return None  # MemoryError: what h5py says of a chunk that was never written
        if len(raw) != size:
            raise RuntimeError(f"a chunk unpacks to {len(raw):,} bytes, not {size:,}")
        if self._shuffled:
            ranks = raw.reshape(dtype.itemsize, self._chunk)
            raw = np.empty(size, np.uint8)
            for rank, part in enumerate(ranks):
                raw[rank :: dtype.itemsize] = part
        values: NDArray[Any] = raw.view(dtype)
        return values


def unpackable(array: Any) -> bool:
    """Tells whether this is an HDF5 array that :class:`PackedValues` can read."""
    h5py = sys.modules.get("h5py")
    if h5py is None or not isinstance(array, h5py.Dataset) or array.chunks is None:
        return False
    layout = array.id.get_create_plist()
    filters = [layout.get_filter(number)[0] for number in range(layout.get_nfilters())]
    plain = array.dtype.kind in "iuf" and array.dtype.isnative
    return array.ndim == 1 and plain and filters in ([DEFLATE], [SHUFFLE, DEFLATE])
