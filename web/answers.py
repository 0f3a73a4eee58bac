"""What the web server answers to a path: the page and its files, JSON, pictures, the report of a session."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING

from smug_recon.pages import COLOURS
from smug_recon.web.record import report_file
from smug_recon.web.view import as_json, overview, queues_of

if TYPE_CHECKING:
    from smug_recon.scanner.house import House
    from smug_recon.web.ledger import Ledger

PAGE_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
"""A report carries everything in one file; it may run its own script, apart from this page and without any request."""
MOST_REPORT_BYTES = 256 << 20

PAGE = resources.files("smug_recon.web") / "page"
SCRIPTS = ("live", "cards", "past", "tiles", "details", "viewer", "parts")
FILES = {
    "/": (PAGE / "index.html", "text/html; charset=utf-8"),
    "/colours.css": (COLOURS, "text/css; charset=utf-8"),
    "/live.css": (PAGE / "live.css", "text/css; charset=utf-8"),
    "/favicon.svg": (PAGE / "favicon.svg", "image/svg+xml"),
    **{f"/{name}.js": (PAGE / f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
SESSION = re.compile(r"/api/sessions/([1-9][0-9]{0,9})")
PICTURE = re.compile(r"/sessions/([1-9][0-9]{0,9})/([1-9][0-9]{0,9})\.png")
REPORT = re.compile(r"/sessions/([1-9][0-9]{0,9})/report\.html")


@dataclass(frozen=True)
class Answer:
    """Status, content type and body; ``headers`` adds what every answer carries."""

    status: int
    kind: str
    body: bytes
    policy: str = PAGE_POLICY
    further: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Nothing is stored, framed, sniffed, or read by another origin."""
        return {
            "Content-Type": self.kind,
            "Content-Length": str(len(self.body)),
            "Content-Security-Policy": self.policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            **self.further,
        }


def refusal(status: int, text: str) -> Answer:
    """A refusal in one line of plain text."""
    further = {"Allow": "GET, HEAD"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
    return Answer(status, "text/plain; charset=utf-8", f"{text}\n".encode(), further=further)


class Answers:
    """Answers paths for one house; ``boot`` tells the page whether the server is still the same one."""

    def __init__(self, house: House, ledger: Ledger, boot: str) -> None:
        self._house, self._ledger, self._boot = house, ledger, boot
        self._files = {path: Answer(200, kind, file.read_bytes()) for path, (file, kind) in FILES.items()}

    def to(self, target: str) -> Answer:
        """The answer to a path; what follows a question mark is not looked at."""
        path = target.partition("?")[0]
        if path in self._files:
            return self._files[path]
        if path == "/api/sessions":
            return _json(overview(self._house, self._ledger, self._boot))
        if match := SESSION.fullmatch(path):
            return self._session(int(match[1]))
        if match := PICTURE.fullmatch(path):
            return self._picture(int(match[1]), int(match[2]))
        if match := REPORT.fullmatch(path):
            return self._report(int(match[1]))
        return refusal(404, "nothing of that name; / is the page, /api/sessions what it shows")

    def _session(self, number: int) -> Answer:
        record = self._ledger.find(number)
        if record is None:
            return refusal(404, f"session {number} is not known, or no longer")
        return _json(self._ledger.shown(record, queues_of(self._house)))

    def _picture(self, session: int, number: int) -> Answer:
        pictures = self._ledger.pictures
        if pictures is None:
            return refusal(404, "images are switched off")
        png = pictures.png(session, number)
        return refusal(404, "no longer held") if png is None else Answer(200, "image/png", png)

    def _report(self, number: int) -> Answer:
        record = self._ledger.find(number)
        found = (
            report_file(record.account) if record is not None and self._ledger.pictures is not None else None
        )
        try:
            if found is None or found.stat().st_size > MOST_REPORT_BYTES:
                return refusal(404, "no report of that session")
            return Answer(200, "text/html; charset=utf-8", found.read_bytes(), REPORT_POLICY)
        except OSError:
            return refusal(404, "the report cannot be read")


def _json(found: dict[str, object]) -> Answer:
    return Answer(200, "application/json; charset=utf-8", as_json(found))
