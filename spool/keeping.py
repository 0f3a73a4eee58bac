"""A session and its spool: what arrives before it is known where to keep it, the word to the host, the end."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from smug_recon import __version__
from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import SpoolSettings
from smug_recon.spool.folder import SpoolFolder
from smug_recon.spool.record import DONE, EMPTY, FAILED, PIPELINE, Record, write_private
from smug_recon.spool.writer import Spool

if TYPE_CHECKING:
    from smug_recon.pipeline import Pipeline

log = logging.getLogger(__name__)

VARIABLE = "SMUG_RECON_SPOOL"
"""Environment variable with the folder; empty: no spool, whatever the pipeline says."""
MOST_BEFORE = 16 << 20
"""No configuration and header together are longer, in bytes."""
LONGEST_ERROR = 2000
LEAST_SCAN = 2 + 340
"""The shortest message with a readout; a failed session with less than that after its header has nothing to keep."""


def from_environment() -> SpoolSettings | None:
    """Settings from ``SMUG_RECON_SPOOL`` and, beside it, ``SMUG_RECON_SPOOL_GIGABYTES`` and its like; None without it.

    Raises ConfigurationError for what is no setting.
    """
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return None
    given: dict[str, str] = {"folder": folder} if folder.strip() else {}
    for name in ("gigabytes", "session_gigabytes", "days"):
        if (value := os.environ.get(f"{VARIABLE}_{name.upper()}")) is not None:
            given[name] = value
    try:
        return SpoolSettings.model_validate(given)
    except ValueError as error:
        raise ConfigurationError(
            f"{VARIABLE} and its like, which cannot be used ({' '.join(str(error).split())})",
            "an absolute path, and numbers above 0",
            "mend or unset the variables",
        ) from None


class Keeping:
    """Hears all bytes of one session and keeps them, once it is known where; ``alarm`` is told when that stops.

    ``settings`` are those of this machine, None if the pipeline is to say. Nothing here raises.
    """

    def __init__(
        self, settings: SpoolSettings | None = None, host: str = "", target: str = "reconstruct"
    ) -> None:
        self.alarm: Callable[[str], None] = lambda text: log.error("%s", text)
        self.trouble = ""
        self._settings = settings
        self._record = Record(host=host, target=target, software=__version__)
        self._before = bytearray()
        self._heard = self._start = 0
        self._spool: Spool | None = None
        self._off = False

    @property
    def name(self) -> str:
        """The name of the spool; empty without one."""
        return self._spool.name if self._spool is not None else ""

    @property
    def path(self) -> Path | None:
        """The folder of the spool; None without one."""
        return self._spool.path if self._spool is not None else None

    @property
    def written(self) -> int:
        """How many bytes are on disk."""
        return self._spool.written if self._spool is not None else 0

    def hear(self, part: bytes | bytearray | memoryview) -> None:
        """Bytes of the host, in the order of their arrival."""
        self._heard += len(part)
        if self._spool is not None:
            self._spool.write(part)
            self._look()
        elif not self._off:
            self._before += part
            if len(self._before) > MOST_BEFORE:
                self._leave_off()

    def slice_ended(self) -> None:
        """All lines of a slice have been heard."""
        if self._spool is not None:
            self._spool.slice_ended()
            self._look()

    def begin(self, host: str = "") -> None:
        """Configuration and header have been heard: begin a spool, if this machine has a folder for it."""
        self._record.host = host or self._record.host
        if self._settings is not None and self._settings.folder is not None:
            self._open(self._settings)
        elif self._settings is not None:
            self._leave_off()

    def settled(self, pipeline: Pipeline, alarm: Callable[[str], None]) -> None:
        """The settings are known: they are kept beside the bytes, and ``alarm`` is told from now on."""
        self.alarm = alarm
        if self.trouble:  # before anybody could be told
            alarm(self._complaint())
        if self._spool is None and not self._off:
            if pipeline.spool.folder is None:
                self._leave_off()
                return
            self._open(pipeline.spool)
        if (spool := self._spool) is not None:
            settings = pipeline.model_dump(mode="json", exclude={"spool"})
            settings["model"]["file"] = str(pipeline.model_path)
            text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
            spool.put_beside(lambda: write_private(spool.path / PIPELINE, text.encode()))
            self._look()

    def footnote(self) -> str:
        """The session fails: where its raw data are kept, for the error that the host is told.

        What has arrived, and what will while the host is told, is kept if a header is in it.
        """
        if self._spool is None and not self._off and end_of_header(self._before) is not None:
            self.begin()
        if self._spool is None:
            self._leave_off()
            return ""
        stopped = f", up to byte {self.written} ({self.trouble})" if self.trouble else ""
        return f"; the raw data are kept as spool {self.name}{stopped}"

    def end(self, state: str = DONE, error: str = "") -> None:
        """The session is over."""
        spool, self._off = self._spool, True
        self._before = bytearray()
        if spool is None:
            return
        if state == FAILED and self._heard - self._start < LEAST_SCAN:
            state = EMPTY
        spool.close(state, error[:LONGEST_ERROR])
        self._look()

    def _open(self, settings: SpoolSettings) -> None:
        self._start = end_of_header(self._before) or len(self._before)
        try:
            self._spool = Spool(SpoolFolder(settings), self._record)
        except (OSError, RuntimeError) as error:  # no home folder, no thread
            self._leave_off()
            self._complain(str(error))
            return
        self._spool.write(self._before)
        self._before = bytearray()
        log.info("the raw data are kept as spool %s", self.name)

    def _leave_off(self) -> None:
        self._off, self._before = True, bytearray()

    def _look(self) -> None:
        if self._spool is not None and self._spool.trouble and not self.trouble:
            self._complain(self._spool.trouble)

    def _complain(self, reason: str) -> None:
        self.trouble = reason
        self.alarm(self._complaint())

    def _complaint(self) -> str:
        of = f" (spool {self.name})" if self.name else ""
        return f"THE RAW DATA ARE NOT KEPT: {self.trouble}{of}; the scan goes on"


def end_of_header(start: bytes | bytearray) -> int | None:
    """Where configuration (id 1 or 2) and MRD header (id 3) end, None if they have not arrived in full."""
    at = 0
    for allowed in ((1, 2), (3,)):
        if len(start) < at + 6:
            return None
        identifier, length = struct.unpack_from("<HI", start, at)
        if identifier not in allowed:
            return None
        at += 2 + 1024 if identifier == 1 else 6 + length
    return at if at <= len(start) else None
