"""The face that every raw scan shows, whatever file or pipe it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from smug_recon.replay.messages import wire

Self = TypeVar("Self", bound="Raw")


@dataclass(frozen=True)
class OtherScan:
    """Another raw scan in the same file: its group, its MRD header (empty if unreadable), whether it is all noise."""

    name: str
    header_xml: bytes
    noise_only: bool


class Raw(ABC):
    """An open raw scan, closed at the end of ``with``.

    ``acquisitions`` and ``others`` count what ``blocks`` delivers; None and 0 where that is not known in advance.
    """

    header_xml: bytes
    acquisitions: int | None = None
    others: int = 0
    again: bool = False
    """Whether it can be read more than once."""
    cut: str = ""
    """Why the scan is not whole, once it has been read to where it breaks off."""

    halt: Callable[[bool], None] | None = None
    """Makes a wait for the source end, in whatever thread it is (True), or possible again (False).

    None where nothing can do that; such a source is read by the thread that wants the items.
    """

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

    def heads(self) -> np.ndarray:
        """The acquisition headers of all readouts, fields as in ``ismrmrd.hdf5``."""
        return np.concatenate([np.zeros(0, acquisition_header_dtype), *self.head_tables()])

    def head_tables(self) -> Iterator[np.ndarray]:
        """The same piece by piece; where nothing better is known, from the messages themselves."""
        for block in self.blocks():
            read, found = wire.cursor(block.payload), []
            for _ in range(block.acquisitions + block.others):
                message_id = wire.read_id(read)
                head, *_ = wire.read_body(message_id, read)
                if message_id == wire.ACQUISITION:
                    found.append(head)
            yield np.frombuffer(b"".join(found), acquisition_header_dtype)

    def other_scans(self) -> Iterator[OtherScan]:
        """The other raw scans of the same file."""
        yield from ()

    @abstractmethod
    def close(self) -> None:
        """Let go of the file or pipe."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
