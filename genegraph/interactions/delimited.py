"""Parses blocks of delimited text, and finds the line to blame when one does not parse."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, NamedTuple

import numpy as np
import pandas as pd

from genegraph.interactions.text_files import Block, decoded, line_blocks


class NumberRule(NamedTuple):
    """What the numbers of a column must be, both ends included."""

    low: float
    high: float
    whole: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def allows(self, text: str) -> bool:
        """Whether a field keeps the rule."""
        try:
            number = float(text)
        except ValueError:
            return False
        if "_" in text or (self.whole and not number.is_integer()):
            return False
        return math.isfinite(number) and self.low <= number <= self.high


class DelimitedReader:
    """Iterates over a stream as DataFrames of some of its columns.

    Identifiers come as categories, never as missing values: a gene may be called ``NA``.

    Args:
        stream: The file, placed after its header.
        label: The file's name, for messages.
        columns: All columns of the file, in order.
        sep: What separates them.
        text: The identifier columns to keep.
        numbers: The number columns to keep, and what they must be.
    """

    def __init__(
        self,
        stream: IO[bytes],
        label: str,
        *,
        columns: Sequence[str],
        sep: str,
        text: Sequence[str],
        numbers: Mapping[str, NumberRule] | None = None,
    ) -> None:
        self.stream = stream
        self.label = label
        self.columns = list(columns)
        self.sep = sep
        self.text = list(text)
        self.numbers = dict(numbers or {})
        self.num_rows = 0
        self._block = Block(b"", 2)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for block in line_blocks(self.stream, self.label):
            self._block = block
            if block.text.strip():
                frame = self._parse()
                self.num_rows += len(frame)
                yield frame
        if not self.num_rows:
            raise ValueError(f"{self.label} has a header and no rows; download it again.")

    def line_of(self, columns: Sequence[str], value: str) -> int:
        """Number of the first line of the present block with this value in these columns."""
        positions = [self.columns.index(column) for column in columns]
        for number, fields in self._lines():
            if value in [fields[position] for position in positions if position < len(fields)]:
                return number
        return self._block.first_line

    def _parse(self) -> pd.DataFrame:
        try:
            with np.errstate(invalid="ignore"):  # 1e60 as a whole number: out of range, told below
                frame = pd.read_csv(
                    io.BytesIO(self._block.text),
                    sep=self.sep,
                    header=None,
                    names=self.columns,
                    usecols=self.text + list(self.numbers),
                    index_col=False,
                    dtype=self._dtypes(),
                    na_filter=False,
                    quoting=csv.QUOTE_NONE,
                    float_precision="round_trip",
                    low_memory=False,
                )
        except (ValueError, OverflowError) as error:
            self._blame_line()
            raise ValueError(f"{self.label} could not be read ({error}).") from error
        separators = self._block.text.count(self.sep.encode())
        in_range = all(self._in_range(frame[name], rule) for name, rule in self.numbers.items())
        if separators != len(frame) * (len(self.columns) - 1) or not in_range:
            self._blame_line()
        return frame

    def _dtypes(self) -> dict[str, str]:
        numbers = {
            name: "int64" if rule.whole else "float64" for name, rule in self.numbers.items()
        }
        return dict.fromkeys(self.text, "category") | numbers

    @staticmethod
    def _in_range(column: pd.Series, rule: NumberRule) -> bool:
        values = column.to_numpy()
        return bool(np.all((values >= rule.low) & (values <= rule.high)))

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        lines = decoded(self._block.text, self.label).split("\n")
        for number, line in enumerate(lines, start=self._block.first_line):
            if line.strip():
                yield number, line.rstrip("\r").split(self.sep)

    def _blame_line(self) -> None:
        for number, fields in self._lines():
            where = f"{self.label}, line {number}"
            if len(fields) != len(self.columns):
                raise ValueError(
                    f"{where}: expected {len(self.columns)} columns, as in the header "
                    f"(got {len(fields)}). The file may be cut short or edited."
                )
            row = dict(zip(self.columns, fields, strict=True))
            for name, rule in self.numbers.items():
                if not rule.allows(row[name]):
                    raise ValueError(f"{where}: {name!r} must be {rule} (got {row[name]!r}).")
