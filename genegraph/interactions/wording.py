"""Words used in notes and error messages."""

from collections.abc import Iterable, Mapping


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Writes a count with its noun.

    Example:
        >>> counted(1, "row"), counted(2000, "row"), counted(2, "taxon", "taxa")
        ('1 row', '2,000 rows', '2 taxa')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def some_of(names: Iterable[object], limit: int = 3) -> str:
    """Quotes the first few names and counts the rest.

    Example:
        >>> some_of(["CD3D", "CD3E", "CD8A", "CD8B"])
        "'CD3D', 'CD3E', 'CD8A' and 1 more"
    """
    quoted = [repr(str(name)) for name in names]
    rest = len(quoted) - limit
    return ", ".join(quoted[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def reasons(dropped: Mapping[str, int]) -> str:
    """Lists why rows were dropped, with counts."""
    return "; ".join(f"{reason}: {count:,}" for reason, count in dropped.items() if count)
