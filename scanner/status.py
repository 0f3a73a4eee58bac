"""``/health``, ``/ready`` and ``/metrics`` on a port of their own, for this machine only unless told otherwise."""

from __future__ import annotations

import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from smug_recon.errors import ConfigurationError
from smug_recon.gadgets.wire.peers import is_loopback

if TYPE_CHECKING:
    from smug_recon.scanner.house import House

log = logging.getLogger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StatusPage:
    """Answers on ``host:port`` from a thread of its own until ``close``; there is nothing of a patient in the answers."""

    def __init__(self, house: House, port: int, host: str = "127.0.0.1") -> None:
        class Page(BaseHTTPRequestHandler):
            timeout = 5.0
            server_version, sys_version = "smug-recon", ""

            def do_GET(self) -> None:
                try:
                    code, kind, body = answer(house, self.path.split("?", 1)[0])
                except Exception:  # whoever watches sees it, and the log says what it was
                    log.exception("the status page cannot answer")
                    code, kind, body = 500, "text/plain; charset=utf-8", b"an error, see the log\n"
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                log.debug(format, *args)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                log.debug("the status page: a request that broke off")

        try:
            self._server = Server((host, port), Page)
        except OSError as error:
            raise ConfigurationError(
                f"the status port {port} of {host} ({error.strerror})",
                "a free port of an address of this machine",
                "choose another --status-port or --status-host",
            ) from None
        if not is_loopback(host):
            log.warning(
                "the status page listens on %s: every machine that reaches this port can read it", host
            )
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="status", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)


def answer(house: House, path: str) -> tuple[int, str, bytes]:
    """Status code, content type and body for a path."""
    plain = "text/plain; charset=utf-8"
    if path == "/health":
        return 200, plain, b"alive\n"
    if path == "/ready":
        reason = not_ready(house)
        return (503, plain, f"{reason}\n".encode()) if reason else (200, plain, b"ready\n")
    if path == "/metrics":
        try:
            return 200, METRICS_TYPE, house.metrics.text()
        except ImportError:
            return 501, plain, b"found no prometheus-client; install smug-recon[metrics]\n"
    return 404, plain, b"/health, /ready, /metrics\n"


def not_ready(house: House) -> str:
    """Why no session would be served now; empty if one would."""
    if house.closing.is_set():
        return "the server is being stopped"
    if house.trouble:
        return house.trouble
    if not house.ready.is_set():
        return "the model is being loaded"
    if house.metrics.active >= house.settings.sessions:
        return f"{house.settings.sessions} sessions, as many as allowed"
    return ""
