"""The session server: accepts, refuses, serves, and stops within a set time."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from smug_recon.errors import ConfigurationError, StreamError
from smug_recon.gadgets.wire.peers import Peers
from smug_recon.gadgets.wire.receiving import Tap
from smug_recon.scanner.house import House, stopped
from smug_recon.scanner.opening import Opening, read_config
from smug_recon.scanner.session import REFUSED, Account, converse
from smug_recon.scanner.session_socket import SessionSocket
from smug_recon.scanner.spooling import Caretaker
from smug_recon.scanner.status import StatusPage
from smug_recon.spool.keeping import Keeping

log = logging.getLogger(__name__)

MOST_REFUSALS = 8
"""How many peers are told at once that there is no room; further ones are closed without a word."""
REFUSAL_S = 3.0
HAND_BACK_S = 5.0
"""For sessions to hear that they are handed back, in seconds."""


class Server:
    """Listens on one address; one thread per session, at most ``sessions`` of them.

    ``tap``: given the number of a session, returns what is called with its bytes as they arrive (a spool), or None.
    """

    def __init__(self, house: House, tap: Callable[[int], Tap | None] = lambda number: None) -> None:
        self.house = house
        self._tap = tap
        self._caretaker = Caretaker(house.settings.spool)
        self._peers = Peers(house.settings.host, house.settings.allow)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sessions: set[threading.Thread] = set()
        self._refusals: set[threading.Thread] = set()
        self._wires: set[SessionSocket] = set()
        self._page: StatusPage | None = None
        settings = house.settings
        try:
            self._listener = socket.create_server((settings.host, settings.port), backlog=16)
        except OSError as error:
            raise ConfigurationError(
                f"{settings.host} port {settings.port}, which cannot be opened ({error.strerror or error})",
                "an address of this machine and a free port",
                "choose another --host or --port, or stop the other server",
            ) from None
        self._listener.settimeout(0.2)
        self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Open the status page and load the default model in the background."""
        settings = self.house.settings
        if settings.status_port is not None:
            self._page = StatusPage(self.house, settings.status_port, settings.status_host)
            log.info("status on http://%s:%d/ready", settings.status_host, self._page.port)
        threading.Thread(target=self.house.warm_up, name="load the default model", daemon=True).start()
        log.info("waiting on %s port %d", settings.host, self.port)

    def serve(self) -> None:
        """Accept sessions until ``close_door``."""
        while not self.house.closing.is_set():
            self._caretaker.look_after()
            try:
                connected, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if self.house.closing.is_set():
                    break
                log.error("no session can be accepted: %s", error)  # out of files, say: the sessions go on
                time.sleep(0.2)
                continue
            try:
                self._receive(connected, str(address[0]))
            except OSError as error:  # gone again; the others are served
                log.warning("a peer that could not be served: %s", error)
                connected.close()
        with contextlib.suppress(OSError):  # who has connected before the door was closed is served
            self._listener.settimeout(0)
            while True:
                connected, address = self._listener.accept()
                connected.setblocking(True)
                self._receive(connected, str(address[0]))
        self._listener.close()

    def _receive(self, connected: socket.socket, address: str) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._peers.welcome(address):
            self.house.metrics.count("unknown", REFUSED)
            connected.close()
            return
        with self._lock:
            if len(self._sessions) < self.house.settings.sessions:
                self._launch(self._session, connected, self._sessions)
            elif len(self._refusals) < MOST_REFUSALS:
                self._launch(self._refuse, connected, self._refusals)
            else:
                log.warning("a peer was closed without a word: %d others are being refused", MOST_REFUSALS)
                self.house.metrics.count("unknown", REFUSED)
                connected.close()

    def _launch(
        self, target: Callable[[socket.socket], None], connected: socket.socket, group: set[threading.Thread]
    ) -> None:
        def run() -> None:
            try:
                target(connected)
            finally:
                connected.close()
                with self._lock:
                    group.discard(thread)

        thread = threading.Thread(target=run, name=f"{target.__name__.strip('_')}", daemon=True)
        group.add(thread)
        try:
            thread.start()
        except RuntimeError:
            group.discard(thread)
            connected.close()
            self.house.metrics.count("unknown", REFUSED)
            log.error("no thread for another session: a peer was closed without a word")

    def _session(self, connected: socket.socket) -> None:
        house = self.house
        account = Account(next(self._numbers), keeping=Keeping(house.settings.spool))
        house.metrics.begin(account)
        house.onlookers.began(account)
        try:
            wire = SessionSocket(
                connected,
                house.settings.limits,
                house.settings.idle_s,
                house.stopping,
                self._tap(account.number),
            )
            self._wires.add(wire)
            try:
                converse(wire, house, account)
            finally:
                self._wires.discard(wire)
        finally:
            house.metrics.end(account)
            house.onlookers.ended(account)

    def _refuse(self, connected: socket.socket) -> None:
        """Read the first message, which shows how this host wants to be told, and tell it that there is no room."""
        house, opening = self.house, Opening()
        limits = replace(
            house.settings.limits,
            stall_seconds=REFUSAL_S,
            drain_idle_seconds=REFUSAL_S,
            drain_seconds=REFUSAL_S,
        )
        wire = SessionSocket(connected, limits, REFUSAL_S, house.stopping)
        wire.patient = False
        try:
            read_config(wire, opening)
        except StreamError:
            opening.kind = "unknown"
        house.metrics.count(opening.kind, REFUSED)
        number = house.settings.sessions
        log.warning("a session beyond the limit of %d was refused", number)
        wire.refuse(
            f"smug-recon: found {number} sessions already; expected at most {number}; "
            "try again when one is over, or start smug-recon serve with more --sessions"
        )

    @property
    def active(self) -> int:
        """How many sessions there are now."""
        with self._lock:
            return len(self._sessions)

    def close_door(self) -> None:
        """Accept no further session; ``serve`` returns. May be called from a signal handler."""
        self.house.closing.set()

    def stop(self) -> bool:
        """Let the sessions finish for the time of grace, then hand them back; whether all have finished."""
        self.close_door()
        self._listener.close()
        finished = self._wait(self.house.settings.grace_s)
        if not finished:
            log.warning("%d sessions are handed back: the time to finish is over", self.active)
        self.house.stopping.set()
        if not self._wait(HAND_BACK_S):
            self._tell_the_rest()
        if self._page is not None:
            self._page.close()
        return finished

    def _tell_the_rest(self) -> None:
        """Tell the hosts of sessions that are deep in a computation; nothing of theirs is written meanwhile."""
        for wire in list(self._wires):
            if not (wire.closed or wire.failed or wire.half_sent):
                log.error("a session is left in the middle of a slice")
                wire.fail(f"smug-recon: {stopped()}")

    def _wait(self, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while (active := self.active) and time.monotonic() < limit:
            time.sleep(min(0.05, seconds))
        return not active
