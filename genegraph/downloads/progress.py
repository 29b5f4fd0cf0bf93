"""A bar of bytes, for downloads that take a while."""

from time import perf_counter
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

PATIENCE = 2.0  # seconds until the bar appears


class DownloadBar:
    """Shows itself on a terminal once a download has taken two seconds.

    Example:
        >>> with DownloadBar("9606.protein.info.v12.0.txt.gz", total=100) as bar:
        ...     bar.advance(100)  # too fast to be seen
    """

    def __init__(self, label: str, total: int | None, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.progress.add_task(label, total=total)
        self.started = perf_counter()
        self.shown = False

    def __enter__(self) -> "DownloadBar":
        return self

    def advance(self, num_bytes: int) -> None:
        """Moves the bar by what has arrived."""
        self.progress.update(self.task, advance=num_bytes)
        late = perf_counter() - self.started >= PATIENCE
        if late and not self.shown and self.console.is_terminal:
            self.progress.start()
            self.shown = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the bar, however the download ended."""
        if self.shown:
            self.progress.stop()
