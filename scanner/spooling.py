"""The spool folder of a server: checked at the start, tidied by the hour, so that age counts without a session too."""

from __future__ import annotations

import logging
import threading
import time

from smug_recon.pipeline import SpoolSettings
from smug_recon.spool.folder import SpoolFolder
from smug_recon.spool.record import REMOVABLE

log = logging.getLogger(__name__)

EVERY_S = 3600.0


class Caretaker:
    """Looks after the spool folder of a server; without a folder it does nothing."""

    def __init__(self, settings: SpoolSettings | None) -> None:
        """Raises ConfigurationError if the folder cannot be written: whoever starts a server is there to mend it."""
        self._folder = SpoolFolder(settings) if settings is not None and settings.folder is not None else None
        self._next = 0.0
        self._tidying = threading.Lock()
        if self._folder is not None:
            self._folder.check()
            self._report(self._folder)

    def look_after(self) -> None:
        """Remove, at most once an hour and in a thread of its own, what is too old."""
        if self._folder is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            threading.Thread(target=self._tidy, args=(self._folder,), name="tidy spools", daemon=True).start()

    def _tidy(self, folder: SpoolFolder) -> None:
        with self._tidying:
            try:
                if removed := folder.tidy():
                    log.info("%d spools older than %g days removed", removed, folder.settings.days)
            except OSError as error:
                log.error("the spool folder cannot be tidied: %s", error.strerror or error)

    @staticmethod
    def _report(folder: SpoolFolder) -> None:
        found = [kept for kept in folder.spools() if not kept.held]
        stay = [kept for kept in found if kept.record is None or kept.record.state not in REMOVABLE]
        log.info(
            "raw data are kept in %s, at most %g GB, %g days",
            folder.path,
            folder.settings.gigabytes,
            folder.settings.days,
        )
        if stay:
            size = sum(kept.bytes for kept in stay) / 1e9
            log.warning(
                "spools of sessions that failed lie there: %d (%.1f GB). They stay until they are removed by hand; "
                "smug-recon replay FOLDER/NAME reconstructs them",
                len(stay),
                size,
            )
