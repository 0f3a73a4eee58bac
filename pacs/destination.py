"""Where images are sent: ``AET@HOST:PORT``, or a YAML file with the same and all that a site may set."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from smug_recon.errors import ConfigurationError

LONGEST_FILE = 2**16


def ae_title(text: str) -> str:
    """An application entity title: 1 to 16 printable ASCII characters, no backslash (PS3.5 section 6.2, VR AE)."""
    title = text.strip()
    if not 0 < len(title) <= 16 or any(not 32 <= ord(sign) < 127 or sign == "\\" for sign in title):
        raise ValueError("an AE title of 1 to 16 ASCII characters without a backslash")
    return title


def address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``[IPV6]:PORT``; ValueError."""
    host, colon, port = text.strip().rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535:
        raise ValueError("HOST:PORT")
    if ":" in host:
        ipaddress.IPv6Address(host)
    return host, int(port)


def _target(text: str) -> str:
    title, at, where = text.strip().rpartition("@")
    try:
        if not at or address(where)[1] == 0:
            raise ValueError
        return f"{ae_title(title)}@{where}"
    except ValueError:
        raise ValueError("AET@HOST:PORT, such as PACS@192.168.2.10:104") from None


def _listener(text: str) -> str:
    address(text)
    return text.strip()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Tls(_Part):
    """Certificates in PEM files: who signs the peer's, and our own where the peer wants to see one.

    ``name``: what the peer's certificate is made out to, where that is not the host of ``to``.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


class Commitment(_Part):
    """Storage commitment (PS3.4 annex J): where the peer's report may connect to, and how long it is waited for.

    Without ``listen`` only a report on the association of the request can be taken. ``hold_s``: how long that one is
    kept open for it; ``patience_s``: after which the peer is asked again.
    """

    listen: Annotated[str, AfterValidator(_listener)] | None = None
    hold_s: float = Field(5.0, ge=0, le=600)
    patience_s: float = Field(600.0, gt=0, le=7 * 86400)


class Destination(_Part):
    """One peer and how it is dealt with.

    ``attempts``: after so many failures of one instance it is set aside; failures to reach the peer do not count.
    ``enhanced`` and ``anonymise`` are the form of what ``smug-recon serve`` sends.
    """

    to: Annotated[str, AfterValidator(_target)]
    calling: Annotated[str, AfterValidator(ae_title)] = "SMUGRECON"
    tls: Tls | None = None
    commitment: Commitment | None = None
    timeout_s: float = Field(30.0, gt=0, le=3600)
    attempts: int = Field(20, ge=1, le=1000)
    first_pause_s: float = Field(1.0, gt=0, le=3600)
    longest_pause_s: float = Field(300.0, gt=0, le=86400)
    queue: Path | None = None
    most_instances: int = Field(100_000, ge=1)
    most_bytes: int = Field(50 * 2**30, ge=1)
    enhanced: bool = False
    anonymise: bool = False

    @property
    def called(self) -> str:
        """AE title of the peer."""
        return self.to.rpartition("@")[0]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the peer."""
        return address(self.to.rpartition("@")[2])

    @property
    def folder(self) -> Path:
        """Folder of the queue."""
        return self.queue or default_queue()


def default_queue() -> Path:
    """The queue of this user: the state folder of the systemd unit, else ``~/.local/state/smug-recon/queue``."""
    if unit := os.environ.get("STATE_DIRECTORY"):
        return Path(unit.split(":")[0]) / "queue"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "smug-recon" / "queue"


def load_destination(text: str, settings: Mapping[str, str] | None = None) -> Destination:
    """The destination of ``AET@HOST:PORT`` or of a YAML file, with settings by dotted name on top; ConfigurationError.

    Relative paths of certificates and queue count from the folder of the YAML file.
    """
    path = Path(text).expanduser()
    from_file = path.suffix.lower() in (".yaml", ".yml")
    found: dict[str, Any] = _read(path) if from_file else {"to": text}
    folder = path.resolve().parent if from_file else Path.cwd()
    _settle(found, folder)
    changes: dict[str, Any] = {}
    for name, value in (settings or {}).items():
        *parts, last = name.split(".")
        inner, shown = found, changes
        for part in parts:
            inner = inner.setdefault(part, {}) or {}
            if not isinstance(inner, dict):
                raise _wrong(name, "a setting of a group", text)
        inner[last] = value
        shown[name] = value
    _settle(found, Path.cwd())
    try:
        return Destination.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(step) for step in first["loc"])
        unknown = first["type"] == "extra_forbidden"
        raise ConfigurationError(
            f"the unknown key {name!r}" if unknown else f"{name} = {str(first.get('input'))[:80]!r}",
            "a key of docs/pacs.md"
            if unknown
            else first["msg"].removeprefix("Value error, ").removeprefix("Input should be "),
            f"mend {'the file ' + path.name if from_file else '--to or --send'}",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise _wrong(path.name, "a YAML file of a few lines", "it is too long")
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigurationError(
            f"{path.name}, which cannot be read ({reason})", "a destination in YAML", "mend the file"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigurationError(
            f"{path.name} with no settings in it", "YAML with the key to", "see docs/pacs.md"
        )
    return found


def _settle(found: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute, counted from a folder."""
    tls = found.get("tls")
    for part, names in ((found, ("queue",)), (tls, ("ca", "certificate", "key"))):
        for name in names:
            if isinstance(part, dict) and isinstance(value := part.get(name), str):
                part[name] = str(folder / Path(value).expanduser())


def _wrong(found: str, expected: str, where: str) -> ConfigurationError:
    return ConfigurationError(found, expected, f"mend {where}")
