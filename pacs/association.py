"""One association with a peer: opened with the right contexts, asked whether it lives, given one instance at a time."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from smug_recon.pacs.destination import Destination
from smug_recon.pacs.queue import Job
from smug_recon.pacs.tls import client_context
from smug_recon.pacs.verdict import Fate, Verdict, verdict

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
MOST_CONTEXTS = 120
"""Of 128 that an association can have; two are for C-ECHO and storage commitment."""

Kind = tuple[str, str]
"""SOP class and transfer syntax."""

WHY_NOT = {
    1: "refused by the user of the service",
    2: "refused without a reason",
    3: "the peer does not know this SOP class",
    4: "the peer does not know this transfer syntax",
}


class PeerTrouble(Exception):
    """The peer cannot be reached, or does not want us; ``lasting``: that will not mend itself."""

    def __init__(self, reason: str, lasting: bool = False) -> None:
        self.reason, self.lasting = reason, lasting
        super().__init__(reason)


class Peer:
    """An open association; ``offers_commitment`` says whether the peer commits itself to keep what it stores.

    ``handlers``: what is called for the peer's reports (:class:`Keeping`).
    Every wait is bounded by ``timeout_s`` of the destination: for the connection, an answer, and the socket itself.
    """

    def __init__(
        self,
        destination: Destination,
        kinds: Sequence[Kind],
        handlers: Sequence[Any] = (),
    ) -> None:
        self.destination = destination
        self.proposed = set(kinds[:MOST_CONTEXTS])
        self._handlers = handlers
        self._opened = False

    def __enter__(self) -> Peer:
        wanted = self.destination
        entity = AE(wanted.calling)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = wanted.timeout_s
        entity.network_timeout = (
            max(wanted.timeout_s, wanted.commitment.hold_s if wanted.commitment else 0) + 5
        )
        entity.add_requested_context(Verification, ImplicitVRLittleEndian)
        plain = sorted({name for name, syntax in self.proposed if syntax in PLAIN})
        for name in plain:
            entity.add_requested_context(name, list(PLAIN))
        for name, syntax in sorted(kind for kind in self.proposed if kind[1] not in PLAIN):
            entity.add_requested_context(name, syntax)
        handlers: list[Any] = [(evt.EVT_CONN_OPEN, self._bound), *self._handlers]
        if wanted.commitment is not None:
            entity.add_requested_context(StorageCommitmentPushModel, list(PLAIN))
        host, port = wanted.address
        tls = (client_context(wanted.tls), wanted.tls.name or host) if wanted.tls else None
        try:
            self._association = entity.associate(
                host, port, ae_title=wanted.called, evt_handlers=handlers, tls_args=tls
            )
        except OSError as error:
            raise PeerTrouble(_told(error)) from None
        if not self._association.is_established:
            raise self._why()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._association.is_established:
            if kind is None:
                self._association.release()
            else:
                self._association.abort()

    @property
    def open(self) -> bool:
        """Whether the association still stands."""
        return bool(self._association.is_established)

    @property
    def identity(self) -> int:
        """What an event of this association is told by."""
        return id(self._association)

    @property
    def offers_commitment(self) -> bool:
        """Whether the peer accepted the context of storage commitment."""
        return any(
            context.abstract_syntax == StorageCommitmentPushModel
            for context in self._association.accepted_contexts
        )

    def echo(self) -> None:
        """C-ECHO, where the peer accepted its context; PeerTrouble if it is not answered with success."""
        if any(context.abstract_syntax == Verification for context in self._association.accepted_contexts):
            status = self._status(lambda: self._association.send_c_echo())
            if status is None:
                raise PeerTrouble("no answer to C-ECHO")
            if status != 0x0000:
                raise PeerTrouble(f"0x{status:04X} in answer to C-ECHO")

    def store(self, job: Job) -> Verdict:
        """C-STORE of one instance, in another uncompressed transfer syntax if the peer chose that."""
        if reason := self._not_taken(job):
            return Verdict(Fate.NEVER, reason)
        try:
            found = pydicom.dcmread(job.path)
            status = self._status(lambda: self._association.send_c_store(found))
        except (OSError, InvalidDicomError, ValueError, AttributeError, TypeError, KeyError) as error:
            return Verdict(Fate.NEVER, f"the file cannot be sent ({type(error).__name__})")
        return Verdict(Fate.BROKEN, "the association ended") if status is None else verdict(status)

    def ask(self, action: pydicom.Dataset, instance: str) -> int | None:
        """N-ACTION of storage commitment; the status, None without an answer."""
        return self._status(
            lambda: self._association.send_n_action(action, 1, StorageCommitmentPushModel, instance)[0]
        )

    def _status(self, request: Callable[[], Any]) -> int | None:
        try:
            answer = request()
        except RuntimeError:  # the association ended just before
            return None
        return int(answer.Status) if "Status" in answer else None

    def _not_taken(self, job: Job) -> str:
        plain = job.syntax in PLAIN
        for context in self._association.accepted_contexts:
            chosen = context.transfer_syntax[0]
            if context.abstract_syntax == job.sop_class and (
                chosen == job.syntax or (plain and chosen in PLAIN)
            ):
                return ""
        for context in self._association.rejected_contexts:
            if context.abstract_syntax == job.sop_class:
                return WHY_NOT.get(context.result or 2, WHY_NOT[2])
        return WHY_NOT[2]

    def _bound(self, event: evt.Event) -> None:
        """Bound every send and receive: a peer that stops in the middle of a message must not hold us."""
        self._opened = True
        seconds = max(self.destination.timeout_s, 0.001)
        bound = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        connected: Any = event.assoc.dul.socket.socket  # type: ignore[union-attr]
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connected.setsockopt(socket.SOL_SOCKET, option, bound)

    def _why(self) -> PeerTrouble:
        association = self._association
        if association.is_rejected:
            answer = association.acceptor.primitive
            if answer is None:
                return PeerTrouble("association rejected")
            return PeerTrouble(f"association rejected: {answer.reason_str}", lasting=answer.result == 1)
        if not self._opened:
            return unreachable(self.destination) or PeerTrouble("the connection failed")
        hint = ""
        if (tls := self.destination.tls) is not None and tls.certificate is None:
            hint = " (the peer may want a client certificate: tls.certificate)"
        return PeerTrouble(f"the peer ended the connection, or did not answer{hint}")


def unreachable(destination: Destination) -> PeerTrouble | None:
    """Why a peer cannot be connected to, found by connecting, without an association; None if it can be."""
    host, port = destination.address
    try:
        with socket.create_connection((host, port), destination.timeout_s) as connected:
            if (tls := destination.tls) is not None:
                with client_context(tls).wrap_socket(connected, server_hostname=tls.name or host):
                    pass
    except ssl.SSLCertVerificationError as error:
        return PeerTrouble(f"the peer's certificate is not accepted: {error.verify_message}", lasting=True)
    except ssl.SSLError as error:
        return PeerTrouble(f"no TLS with this peer ({error.reason or type(error).__name__})", lasting=True)
    except OSError as error:
        return PeerTrouble(_told(error))
    return None


def _told(error: OSError) -> str:
    return f"cannot connect ({error.strerror or 'no answer in time'})"
