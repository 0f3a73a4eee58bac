"""The web server of the live page: GET and HEAD only, few connections, each short, nothing taken from the browser."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import secrets
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets.wire.peers import is_loopback
from smug_recon.web.answers import Answer, Answers, refusal
from smug_recon.web.ledger import Ledger
from smug_recon.web.pictures import Pictures

if TYPE_CHECKING:
    from smug_recon.scanner.house import House

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 16
LONGEST_S = 15.0
"""A connection that takes longer is cut, whatever it says meanwhile."""
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n\r\n"


class LivePage:
    """Watches the sessions of a house and shows them on ``http://host:port/`` until ``close``.

    Args:
        house: of the session server; the page adds itself to its onlookers.
        port: 0 takes a free one; ``port`` says which.
        host: an address of this machine; loopback unless images may be seen by everybody who reaches it.
        images: whether images are shown at all.

    Raises ConfigurationError when the port cannot be opened.
    """

    def __init__(self, house: House, port: int, host: str = "127.0.0.1", images: bool = True) -> None:
        if not is_loopback(host):
            log.warning(
                "the live page on %s: every machine that reaches this port sees the sessions%s, unencrypted; "
                "127.0.0.1 is this machine only, an SSH tunnel brings it elsewhere",
                host,
                " and the images of the patients" if images else "",
            )
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise ConfigurationError(
                f"the address {host} port {port} for the live page ({error.strerror or error})",
                "an address of this machine and a free port",
                "choose another --web or --web-host",
            ) from None
        self.ledger = Ledger(Pictures() if images else None)
        self._server.answers = Answers(house, self.ledger, secrets.token_hex(6))
        self.port = int(self._server.socket.getsockname()[1])
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{self.port}/"
        house.onlookers.add(self.ledger)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="live page", daemon=True
        )
        self._thread.start()
        log.info("live page on %s", self.address)

    def close(self) -> None:
        """Answer no more; requests under way are cut."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut(0.0)
        self._thread.join(2.0)
        self._server.wait(2.0)
        if self.ledger.pictures is not None:
            self.ledger.pictures.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS
    answers: Answers

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.name = host
        self._open: dict[Any, float] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), _Request)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # without HTTPServer's question to the name server

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            room = len(self._open) < MOST_CONNECTIONS
            if room:
                self._open[request] = time.monotonic()
        if room:
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.send(FULL)
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        self.cut(LONGEST_S)

    def cut(self, seconds: float) -> None:
        """Cut the connections that have been open for longer than this."""
        with self._lock:
            late = [request for request, since in self._open.items() if time.monotonic() - since > seconds]
        for request in late:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)  # its thread wakes up and closes it

    def wait(self, seconds: float) -> None:
        """Until no connection is open, but no longer than this."""
        limit = time.monotonic() + seconds
        while self._open and time.monotonic() < limit:
            time.sleep(0.01)

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("the live page: a request that broke off", exc_info=True)


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) == 1 and is_asked_for(hosts[0], self.server.name):
            self.write(self.server.answers.to(self.path))
        else:
            self.write(refusal(403, "ask for this page by the address of the machine, not by another name"))

    def do_HEAD(self) -> None:
        self.do_GET()

    def write(self, answer: Answer) -> None:
        """Send an answer, without its body to HEAD, and close."""
        self.close_connection = True
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself; 501 is its word for a method that is not there."""
        self.command = getattr(self, "command", None) or "GET"
        self.write(refusal(405 if code == 501 else int(code), "a page to look at: GET and HEAD only"))

    def log_message(self, format: str, *args: object) -> None:
        log.debug(format, *args)


def is_asked_for(host: str, name: str) -> bool:
    """Whether a Host header means this page: an address in digits, ``localhost``, or the name it listens on.

    A foreign page whose name has been made to point to this machine (DNS rebinding) comes with its own name.
    """
    bare, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    if port and not port.isdigit():
        return False
    if bare in ("localhost", name):
        return True
    try:
        ipaddress.ip_address(bare[1:-1] if bare.startswith("[") and bare.endswith("]") else bare)
    except ValueError:
        return False
    return True
