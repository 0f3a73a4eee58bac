"""Who watches the sessions: told when one begins, is understood, sends an image, ends; a scan never waits for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ismrmrd

    from smug_recon.pipeline import Pipeline
    from smug_recon.scanner.session import Account

log = logging.getLogger(__name__)


class Onlooker:
    """Told of every session in the session's own thread: return at once, and put work on a bounded queue."""

    def began(self, account: Account) -> None:
        """A host has connected."""

    def opened(self, account: Account, header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> None:
        """Configuration and MRD header have been read."""

    def sent(self, account: Account, image: ismrmrd.Image) -> None:
        """An image has been sent to the host; it is not to be changed."""

    def ended(self, account: Account) -> None:
        """The session is over; ``account.outcome`` says how, ``account.error`` why."""


class Onlookers(Onlooker):
    """All that watch; one that fails is named in the log, the session does not hear of it."""

    def __init__(self) -> None:
        self._all: list[Onlooker] = []

    def add(self, onlooker: Onlooker) -> None:
        """Tell this one as well, from now on."""
        self._all.append(onlooker)

    def began(self, account: Account) -> None:
        self._tell("began", account)

    def opened(self, account: Account, header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> None:
        self._tell("opened", account, header, pipeline)

    def sent(self, account: Account, image: ismrmrd.Image) -> None:
        self._tell("sent", account, image)

    def ended(self, account: Account) -> None:
        self._tell("ended", account)

    def _tell(self, what: str, *about: object) -> None:
        for onlooker in self._all:
            try:
                getattr(onlooker, what)(*about)
            except Exception:
                log.exception("%s failed when told that a session %s", type(onlooker).__name__, what)
