"""A storage SCP in this process that stores, refuses, aborts and commits itself by plan, and keeps count."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel, Verification

STORE, ABORT_BEFORE, ABORT_AFTER, BUSY = "store", "abort before", "abort after", "busy"


def at_random(seed: int, share: float = 0.4) -> Iterator[str | int]:
    """What happens to every instance: failures of all temporary kinds with a probability."""
    rng = random.Random(seed)
    while True:
        failing = rng.random() < share
        yield rng.choice([ABORT_BEFORE, ABORT_AFTER, 0xA700, 0xA7FF, 0x0110]) if failing else STORE


class FailingPeer:
    """``plan``: for each C-STORE ``store``, an abort before or after it was stored, or a status.

    A function in the plan is called and says which it is.
    ``acknowledged`` counts the answers with success by UID, ``received`` every arrival, ``stored`` holds the UIDs.
    """

    def __init__(
        self,
        plan: Iterable[Any] = (),
        *,
        classes: Iterable[Any] | None = None,
        port: int = 0,
        commitment: dict[str, Any] | None = None,
        max_associations: int = 10,
    ) -> None:
        self.plan, self.commitment = iter(plan), commitment
        self.received: Counter[str] = Counter()
        self.acknowledged: Counter[str] = Counter()
        self.stored: set[str] = set()
        self.order: list[str] = []
        self.calls: list[str] = []
        self.last = ""
        self.requests: list[Dataset] = []
        self.reported = threading.Event()
        entity = AE("ORTHANC")
        entity.require_called_aet = True
        entity.maximum_associations = max_associations
        entity.add_supported_context(Verification)
        for name in (
            classes if classes is not None else [c.abstract_syntax for c in StoragePresentationContexts]
        ):
            entity.add_supported_context(name)
        if commitment is not None:
            entity.add_supported_context(StorageCommitmentPushModel)
        self.entity = entity
        self._server = entity.start_server(
            ("127.0.0.1", port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_ECHO, self._echo),
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_N_ACTION, self._action),
                (evt.EVT_DIMSE_SENT, self._sent),
            ],
        )
        self.port = int(self._server.socket.getsockname()[1])

    def close(self) -> None:
        self._server.shutdown()

    def _echo(self, event: evt.Event) -> int:
        self.calls.append("echo")
        return 0x0000

    def _store(self, event: evt.Event) -> Any:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.calls.append("store")
        self.received[uid] += 1
        self.last = uid
        step = next(self.plan, STORE)
        if callable(step):
            step = step()
        if step == ABORT_BEFORE:
            event.assoc.abort()
            return 0x0000
        if isinstance(step, int):
            answer = Dataset()
            answer.Status = step
            answer.ErrorComment = "Phantom^Head P-1"  # a peer that names the patient
            if step == 0x0111:  # has it already
                self.stored.add(uid)
            if not 0xB000 <= step <= 0xBFFF:
                return answer
        self.stored.add(uid)
        self.order.append(uid)
        if step == ABORT_AFTER:
            event.assoc.abort()
            return 0x0000
        self.acknowledged[uid] += 1
        return 0x0000

    def _action(self, event: evt.Event) -> tuple[int, None]:
        assert self.commitment is not None
        self.requests.append(event.action_information)
        return self.commitment.get("status", 0x0000), None

    def _sent(self, event: evt.Event) -> None:
        """After the answer to N-ACTION: report from a thread, on this association or (``port``) on a new one."""
        plan = self.commitment or {}
        told = isinstance(event.message, N_ACTION_RSP) and plan.get("status", 0x0000) == 0x0000
        if told and not plan.get("silent"):
            threading.Thread(target=self._report, args=(event.assoc, self.requests[-1])).start()

    def _report(self, association: Any, asked: Dataset) -> None:
        assert self.commitment is not None
        lost = self.commitment.get("lost", {})  # UID: failure reason, told once
        report, kept, failed = Dataset(), [], []
        report.TransactionUID = self.commitment.get("transaction", asked.TransactionUID)
        for item in asked.ReferencedSOPSequence:
            if (reason := lost.pop(item.ReferencedSOPInstanceUID, None)) is not None:
                self.stored.discard(item.ReferencedSOPInstanceUID)
                item.FailureReason = reason
                failed.append(item)
            else:
                kept.append(item)
        if kept:
            report.ReferencedSOPSequence = kept
        if failed:
            report.FailedSOPSequence = failed
        if (port := self.commitment.get("port")) is not None:
            role = SCP_SCU_RoleSelectionNegotiation()
            role.sop_class_uid = StorageCommitmentPushModel
            role.scu_role, role.scp_role = False, True
            entity = AE(self.commitment.get("calling", "ORTHANC"))
            entity.add_requested_context(StorageCommitmentPushModel, ImplicitVRLittleEndian)
            association = entity.associate("127.0.0.1", port(), ae_title="SMUGRECON", ext_neg=[role])
        if association.is_established:
            status, _ = association.send_n_event_report(
                report,
                2 if failed else 1,
                StorageCommitmentPushModel,
                "1.2.840.10008.1.20.1.1",
            )
            self.commitment["answered"] = status.get("Status")
            if port is not None:
                association.release()
        else:
            self.commitment["answered"] = None
        self.reported.set()


__all__ = ["ABORT_AFTER", "ABORT_BEFORE", "STORE", "FailingPeer", "MRImageStorage", "at_random"]
