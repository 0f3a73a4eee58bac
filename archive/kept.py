"""The node of the scanner in a process that lives for many scans: its model is loaded once.

Host and node talk over a socket as they do in two processes; the session is that of Gadgetron's ``<execute>``.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gadgetron.external import Connection

from smug_recon.errors import SmugReconError, StreamError
from smug_recon.gadgets.scan import reconstruct
from smug_recon.gadgets.stream import Solve

if TYPE_CHECKING:
    from smug_recon.gadgets.model.file import Model

log = logging.getLogger(__name__)

MOST_MODELS = 2
"""Kept at a time; the one used longest ago makes room."""
STOP_S = 30.0
"""Longest wait for a session whose host is gone, in seconds."""

Session = Callable[[Connection], None]


class Models:
    """Models by hash and device, loaded when they are first asked for."""

    def __init__(self, read: Callable[[Path, str, str], Model] | None = None) -> None:
        self._read = read
        self._kept: dict[tuple[str, str], Model] = {}
        self.loaded = 0

    def load(self, path: Path, sha256: str, device: str) -> Model:
        """The model with this hash; ModelError as ``gadgets.model.file.load_model`` raises it."""
        from smug_recon.gadgets.model.file import load_model

        key = (sha256.lower(), device)
        model = self._kept.pop(key, None)
        if model is None:
            model = (self._read or load_model)(path, sha256, device)
            self.loaded += 1
        self._kept[key] = model
        for old in list(self._kept)[:-MOST_MODELS]:
            del self._kept[old]
        return model


class KeptNode:
    """Has the face of ``replay.host.node.Node``, and runs one session in a thread of this process.

    The environment holds for the process from the beginning to the end of the session: one session at a time.
    """

    def __init__(self, log_file: Path, session: Session, environment: Mapping[str, str]) -> None:
        self.log = log_file
        self._before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        self._code: int | None = None
        self.socket, theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(theirs, session), name="node", daemon=True)
        self._thread.start()

    def _run(self, theirs: socket.socket, session: Session) -> None:
        code = 1
        try:
            with theirs:
                if not theirs.recv(1, socket.MSG_PEEK):  # the stock handshake would wait for ever
                    raise StreamError("a host that is gone", "a configuration (id 2)", "start again")
                with Connection(theirs) as connection:
                    session(connection)
            code = 0
        except SmugReconError:
            pass  # the host has been told
        except Exception:
            log.exception("the node failed")
        self._code = code

    def __enter__(self) -> KeptNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def stuck(self) -> bool:
        """Whether the session goes on though its host is gone."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> int | None:
        """0 once the session has ended well, 1 once it has failed, None if it goes on after ``seconds``."""
        self._thread.join(seconds)
        return None if self._thread.is_alive() else self._code

    def death(self, when: str) -> StreamError:
        """The error for a session that ended when it should not."""
        self.wait(10.0)
        return StreamError(f"the node ended {when}", "images and an end mark (id 4)", self.hint())

    def hint(self) -> str:
        """Where to read on."""
        return f"read {self.log.name} beside the images"

    def stop(self) -> None:
        """Close the connection, wait for the session, put the environment back."""
        self.socket.close()
        self._thread.join(STOP_S)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def session_with(models: Models, solve: Solve | None = None) -> Session:
    """The session of ``<execute>`` with a model that is kept; ``solve`` gives images that were made elsewhere."""
    return lambda connection: reconstruct(connection, models.load, solve)
