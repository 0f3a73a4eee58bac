"""Images of sessions to a PACS, once the host has them: nothing of it happens in the thread of a scan."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smug_recon.scanner.onlookers import Onlooker
from smug_recon.scanner.session import DONE, FALLBACK

if TYPE_CHECKING:
    import ismrmrd

    from smug_recon.pacs import Destination
    from smug_recon.pipeline import Pipeline
    from smug_recon.scanner.session import Account

log = logging.getLogger(__name__)

MOST_BYTES = 2 << 30
"""Pixels of all sessions that are held until they are in the queue; a session beyond is not sent, and that is said."""
MOST_SESSIONS = 64
SESSION = "session-"
OURS = "SmugReconVersion"


@dataclass
class Held:
    """What is kept of a running session."""

    number: int
    header: ismrmrd.xsd.ismrmrdHeader
    images: list[ismrmrd.Image] = field(default_factory=list)
    size: int = 0
    too_much: bool = False


class Forwarder(Onlooker):
    """Holds the images of every session; when it has ended well, writes them as DICOM into the queue of a destination.

    Two threads of its own: one writes DICOM, one sends. A session that failed is not sent: the host will repeat it.

    Raises:
        ConfigurationError: certificates. DataError: a queue that cannot be opened.
    """

    def __init__(self, destination: Destination, most_bytes: int = MOST_BYTES) -> None:
        from smug_recon.pacs import Queue, Sender
        from smug_recon.pacs.tls import client_context

        if destination.tls is not None:
            client_context(destination.tls)  # a wrong file is told now, not after the first scan
        self.destination, self._most = destination, most_bytes
        self.queue = Queue(destination.folder, destination.most_instances, destination.most_bytes)
        self.sender = Sender(destination, self.queue)
        self.lost = 0
        self._closed = False
        self._lock = threading.Lock()
        self._held: dict[int, Held] = {}
        self._size = 0
        self._ended: queue.Queue[Held | None] = queue.Queue(MOST_SESSIONS)
        _clear_up(self.queue.folder)
        self._threads = [
            threading.Thread(target=self._write, name="DICOM for the PACS", daemon=True),
            threading.Thread(target=self.sender.run, name="to the PACS", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def opened(self, account: Account, header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline) -> None:
        with self._lock:
            self._held[account.number] = Held(account.number, header)

    def sent(self, account: Account, image: ismrmrd.Image) -> None:
        size = int(image.data.nbytes)
        with self._lock:
            if (held := self._held.get(account.number)) is None or held.too_much:
                return
            if self._size + size > self._most:
                held.too_much = True
                self._size -= held.size
                held.images, held.size = [], 0
                return
            held.images.append(image)
            held.size += size
            self._size += size

    def ended(self, account: Account) -> None:
        with self._lock:
            held = self._held.pop(account.number, None)
        if held is None:
            return
        if held.too_much:
            self._lose(held, f"more than {self._most >> 20} MiB of images wait for the PACS")
        elif not held.images or account.outcome not in (DONE, FALLBACK):
            self._release(held)
        else:
            try:
                self._ended.put_nowait(held)
            except queue.Full:
                self._lose(held, f"{MOST_SESSIONS} sessions wait for the PACS")

    def close(self, grace_s: float = 30.0) -> None:
        """Write what has ended into the queue, as far as there is time; what is not sent yet stays there."""
        if self._closed:
            return
        self._closed, limit = True, time.monotonic() + grace_s
        try:
            self._ended.put(None, timeout=grace_s)
        except queue.Full:
            log.error("PACS %s: sessions are left that are not in the queue", self.destination.to)
        self._threads[0].join(max(0.1, limit - time.monotonic()))
        self.sender.stop.set()
        self.sender.wake()
        self._threads[1].join(max(0.1, limit - time.monotonic()))
        waiting = self.queue.count(self.destination.to)["waiting"]
        if waiting:
            log.warning(
                "PACS %s: %d instances stay in the queue for the next start", self.destination.to, waiting
            )
        if not any(thread.is_alive() for thread in self._threads):
            self.queue.close()

    def families(self) -> list[Any]:
        """Numbers for Prometheus."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        instances = GaugeMetricFamily(
            "smug_recon_pacs_instances", "instances in the queue to the PACS", labels=["state"]
        )
        for state, number in self.queue.count(self.destination.to).items():
            instances.add_metric([state], number)
        return [
            instances,
            CounterMetricFamily(
                "smug_recon_pacs_failures",
                "attempts on instances or connections that failed",
                value=self.sender.failures,
            ),
            CounterMetricFamily(
                "smug_recon_pacs_lost_sessions", "sessions that did not get into the queue", value=self.lost
            ),
            GaugeMetricFamily(
                "smug_recon_pacs_reached", "0 while the PACS cannot be reached", value=not self.sender.trouble
            ),
        ]

    def _write(self) -> None:
        from smug_recon.pacs.sender import told

        while (held := self._ended.get()) is not None:
            try:
                log.info("session %d: %d instances for the PACS", held.number, self._queued(held))
                self.sender.wake()
                self._release(held)
            except Exception as error:
                self._lose(held, told(error))

    def _queued(self, held: Held) -> int:
        """Write a session into the queue, by way of a folder that is only for this user; how many instances are new."""
        from smug_recon.dicom import write_dicom
        from smug_recon.pacs.files import instance

        images = [image for image in held.images if image.meta.get(OURS)]
        folder = Path(tempfile.mkdtemp(prefix=f"{SESSION}{os.getpid()}-", dir=self.queue.folder))
        try:
            files = write_dicom(
                images,
                held.header,
                folder,
                multiframe=self.destination.enhanced,
                anonymise=self.destination.anonymise,
            )
            return sum(self.queue.put(self.destination.to, instance(path)) for path in files)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lose(self, held: Held, reason: str) -> None:
        self._release(held)
        log.error("session %d is not sent to the PACS: %s", held.number, reason)
        self.lost += 1

    def _release(self, held: Held) -> None:
        with self._lock:
            self._size -= held.size
        held.images, held.size = [], 0


def _clear_up(folder: Path) -> None:
    """Remove what a process has left that was killed while it wrote a session."""
    for left in folder.glob(f"{SESSION}*"):
        number = left.name.removeprefix(SESSION).split("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(left, ignore_errors=True)
