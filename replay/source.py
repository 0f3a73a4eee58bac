"""The face that every raw scan shows, whatever file or pipe it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

import ismrmrd

from smug_recon.replay import wire

Self = TypeVar("Self", bound="Raw")


class Raw(ABC):
    """An open raw scan, closed at the end of ``with``.

    ``acquisitions`` and ``others`` count what ``blocks`` delivers; None and 0 where that is not known in advance.
    """

    header_xml: bytes
    acquisitions: int | None = None
    others: int = 0
    cut: str = ""
    """Why the scan is not whole, once it has been read to where it breaks off."""

    @property
    def whole(self) -> bool:
        """Whether the end of the scan was there, as far as has been read."""
        return not self.cut

    @abstractmethod
    def blocks(self) -> Iterator[wire.Block]:
        """All items as messages, in blocks of bounded size."""

    def items(self) -> Iterator[ismrmrd.Acquisition | ismrmrd.Image | ismrmrd.Waveform]:
        """The same as ismrmrd objects."""
        yield from wire.items(self.blocks())

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or pipe."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
