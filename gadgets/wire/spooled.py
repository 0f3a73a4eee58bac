"""The spool of a node's session: from the handshake on everything the host sends is kept, however the session ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the import is light: a failure of later ones is told to the host
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.wire.connection import GuardedConnection
    from smug_recon.pipeline import Pipeline
    from smug_recon.spool.keeping import Keeping


class Spooled:
    """One session of a node and, if the environment or the pipeline names a folder, its spool."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.keeping: Keeping | None = None
        self.report: Report | None = None

    def listen(self, host: GuardedConnection) -> None:
        """Begin with the handshake; what the environment says holds before what the pipeline says. ConfigurationError."""
        from smug_recon.spool.keeping import Keeping, from_environment

        keeping = self.keeping = Keeping(from_environment(), target=self._target)
        keeping.hear(host.handshake)
        host.listen_in(keeping.hear, keeping.slice_ended, keeping.footnote)
        keeping.begin("Gadgetron")

    def settled(self, pipeline: Pipeline, report: Report) -> None:
        """The settings are known; from now on a spool that breaks off is said on the images."""
        assert self.keeping is not None
        self.report = report
        self.keeping.settled(pipeline, report.announce)

    def end(self, error: BaseException | None = None) -> None:
        """The session is over."""
        if self.keeping is not None:
            from smug_recon.spool.record import DONE, FAILED, FALLBACK

            fallback = self.report is not None and self.report.fallbacks
            state = FAILED if error is not None else FALLBACK if fallback else DONE
            self.keeping.end(state, "" if error is None else f"{type(error).__name__}: {error}")


@contextmanager
def spooled(target: str = "reconstruct") -> Iterator[Spooled]:
    """Surrounds the session, so that what the host sends after an error is kept as well."""
    spool = Spooled(target)
    try:
        yield spool
    except BaseException as error:
        spool.end(error)
        raise
    spool.end()
