"""Progress bars on a terminal: acquisitions sent, images received."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm


class Bars:
    """Two bars on standard error; silent where it is no terminal."""

    def __init__(self) -> None:
        silent = not sys.stderr.isatty()
        self._sent = tqdm(desc="acquisitions sent", unit="", position=0, disable=silent)
        self._received = tqdm(desc="images received ", unit="", position=1, disable=silent)

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._received.close()
        self._sent.close()

    def show(self, acquisitions: int, total: int | None, images: int) -> None:
        """Move both bars to these counts."""
        if self._sent.total != total:
            self._sent.total = total
        self._sent.update(acquisitions - self._sent.n)
        self._received.update(images - self._received.n)
