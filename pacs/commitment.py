"""Storage commitment, push model (PS3.4 annex J): the peer is asked to keep what it stored, and reports what it will keep."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import N_EVENT_REPORT_RSP
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from smug_recon.errors import ConfigurationError, SmugReconError
from smug_recon.pacs.association import Peer, PeerTrouble
from smug_recon.pacs.destination import Destination, address
from smug_recon.pacs.promises import Promises
from smug_recon.pacs.queue import Job, Queue
from smug_recon.pacs.tls import server_context

log = logging.getLogger(__name__)

TICK_S = 0.1


class Keeping:
    """Asks one peer, takes its reports on the same association, and with ``listen`` on one that the peer opens."""

    def __init__(self, destination: Destination, queue: Queue, changed: Callable[[], None]) -> None:
        assert destination.commitment is not None
        self._wanted, self._destination = destination.commitment, destination
        self._promises, self._changed = Promises(queue, destination.to), changed
        self._server: Any = None
        self._answering: set[int] = set()
        self.handlers: list[Any] = [
            (evt.EVT_N_EVENT_REPORT, self.on_report),
            (evt.EVT_DIMSE_SENT, self._answered),
        ]

    def __enter__(self) -> Keeping:
        if self._wanted.listen is None:
            return self
        entity = AE(self._destination.calling)
        entity.require_calling_aet = [self._destination.called]
        entity.require_called_aet = True
        entity.maximum_associations = 4
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._destination.timeout_s
        entity.add_supported_context(Verification)
        entity.add_supported_context(
            StorageCommitmentPushModel,
            [ExplicitVRLittleEndian, ImplicitVRLittleEndian],
            scu_role=True,
            scp_role=True,
        )
        tls = self._destination.tls
        host, port = address(self._wanted.listen)
        try:
            self._server = entity.start_server(
                (host, port),
                block=False,
                ssl_context=server_context(tls) if tls else None,
                evt_handlers=self.handlers,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{host} port {port}, which cannot be opened ({error.strerror})",
                "an address of this machine and a free port",
                "change commitment.listen",
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()

    @property
    def port(self) -> int:
        """The port that reports are taken on; 0 without one."""
        return int(self._server.socket.getsockname()[1]) if self._server is not None else 0

    @property
    def due(self) -> bool:
        """Whether there is something to ask for now."""
        return bool(self._promises.due(self._wanted.patience_s, 1))

    def ask(self, peer: Peer, stop: threading.Event) -> None:
        """Ask for all that was stored, and hold the association for the reports as long as the destination says."""
        if not peer.offers_commitment:
            log.warning("PACS %s offers no storage commitment", self._destination.to)
            self._promises.settle_all("the peer offers no storage commitment")
            return
        latest_s = self._wanted.patience_s
        if not peer.open and self._promises.due(latest_s):
            raise PeerTrouble("the association ended before commitment could be asked for")
        while peer.open and not stop.is_set() and (jobs := self._promises.due(latest_s)):
            transaction = generate_uid(prefix=None)
            self._promises.ask(jobs, transaction, latest_s)
            status = peer.ask(request(jobs, transaction), StorageCommitmentPushModelInstance)
            if status != 0x0000:
                shown = "no answer" if status is None else f"0x{status:04X}"
                log.warning(
                    "PACS %s: %s to the request to keep %d instances", peer.destination.to, shown, len(jobs)
                )
                return
            limit = time.monotonic() + self._wanted.hold_s
            while peer.open and (
                peer.identity in self._answering
                or (time.monotonic() < limit and self._promises.outstanding(transaction))
            ):
                if stop.wait(TICK_S):
                    return

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        """Take a report (N-EVENT-REPORT) and return the status of its answer."""
        self._answering.add(id(event.assoc))  # the association must not end before the answer is on its way
        try:
            found = event.event_information
            transaction = str(found.TransactionUID)
            kept = [str(item.ReferencedSOPInstanceUID) for item in found.get("ReferencedSOPSequence") or []]
            failed = [
                (str(item.ReferencedSOPInstanceUID), int(item.get("FailureReason") or 0x0110))
                for item in found.get("FailedSOPSequence") or []
            ]
        except (AttributeError, ValueError, TypeError, KeyError):
            return 0x0115, None  # invalid argument value
        if not self._promises.outstanding(transaction):
            log.warning("PACS %s: a report on a request that is not ours or is over", self._destination.to)
            return 0x0115, None
        try:
            number = self._promises.kept(transaction, kept)
            for uid, reason in failed:
                self._promises.not_kept(transaction, uid, reason)
        except SmugReconError as error:
            log.error("PACS %s: a report could not be booked: %s", self._destination.to, error)
            return 0x0110, None
        log.info("PACS %s keeps %d instances, not %d", self._destination.to, number, len(failed))
        self._changed()
        return 0x0000, None

    def _answered(self, event: evt.Event) -> None:
        if isinstance(event.message, N_EVENT_REPORT_RSP):
            self._answering.discard(id(event.assoc))


def request(jobs: list[Job], transaction: str) -> pydicom.Dataset:
    """The action information of PS3.4 table J.3-1."""
    items = []
    for job in jobs:
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = job.sop_class, job.uid
        items.append(item)
    found = pydicom.Dataset()
    found.TransactionUID, found.ReferencedSOPSequence = transaction, items
    return found
