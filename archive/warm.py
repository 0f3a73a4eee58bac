"""The worker's side of the warm processes: started when they are needed, killed when a scan takes too long."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

NAME = "smug-recon-archive"
LONGEST_ANSWER = 1 << 20
"""In bytes; an answer is a few kilobytes."""
STOP_S = 5.0


class PoolGone(RuntimeError):
    """A worker ends, or its client has gone, while a scan is under way: nothing is known of the scan, and nothing is booked."""


class WarmProcess:
    """One process that reconstructs scan after scan."""

    def __init__(self, environment: Mapping[str, str], command: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            list(command) or [sys.executable, "-m", "smug_recon.archive.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "PYTHONSAFEPATH": "1",  # no code of the folder it is called in
                **_inherited(),
                **environment,
            },
            start_new_session=True,  # with what it starts it is one group, and ends as one
        )
        self.usable = True
        self.scans = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, request: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to a request; an ``error`` with ``died`` if the process dies over it, or is killed after ``limit_s``."""
        self.scans += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(dict(request)).encode() + b"\n")
            self._process.stdin.flush()
            line = self._line(time.monotonic() + limit_s)
        except (BrokenPipeError, EOFError):
            return {"error": self._death(), "died": True}
        except TimeoutError:
            self.stop(gently=False)
            return {
                "error": {
                    "kind": "TimeLimit",
                    "found": f"no end after {limit_s:g} s",
                    "expected": "images within the time limit of a scan",
                    "remedy": "raise --time-limit if the scan is large; else the file is damaged",
                }
            }
        answer: dict[str, Any] = json.loads(line)
        self.usable = not answer.pop("last", False)
        return answer

    def _line(self, deadline: float) -> bytes:
        """The next line of standard output; TimeoutError, EOFError."""
        assert self._process.stdout is not None
        source, line = self._process.stdout.fileno(), b""
        while not line.endswith(b"\n"):
            if not select.select([source], [], [], max(deadline - time.monotonic(), 0.0))[0]:
                raise TimeoutError
            piece = os.read(source, 65536)
            if not piece or len(line) > LONGEST_ANSWER:
                raise EOFError
            line += piece
        return line

    def _death(self) -> dict[str, str]:
        self.stop(gently=False)
        code = self._process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return {
            "kind": "Died",
            "found": f"a process that {how} while it reconstructed this scan",
            "expected": "images",
            "remedy": "the file is damaged, or memory ran out: look into node.log, try it alone with smug-recon replay",
        }

    def kill(self) -> None:
        """Take the process from under another thread, which sees the end of its answers."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self, gently: bool = True) -> None:
        """End the process and all that it started."""
        self.usable = False
        if gently and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class WarmPool(WorkerPlugin):
    """The warm processes of one Dask worker, and the pipeline and model that came with it from the client.

    Dask gives every worker a copy; ``setup`` writes pipeline and model to a folder of the worker's own. The name is that of one
    run: others may use the same workers with another pipeline.
    """

    def __init__(
        self,
        pipeline_yaml: str,
        model: bytes,
        threads: int | None = None,
        gpus: int = 0,
        command: Sequence[str] = (),
    ) -> None:
        self.pipeline_yaml, self.model, self.threads, self.gpus = pipeline_yaml, model, threads, gpus
        self.command = tuple(command)
        self.name = f"{NAME}-{secrets.token_hex(4)}"

    def setup(self, worker: Any) -> None:
        """Called by Dask on the worker."""
        self._lock = threading.Lock()
        self._idle: list[WarmProcess] = []
        self._busy: set[WarmProcess] = set()
        self.gone = False
        own = getattr(worker, "local_directory", None)  # Dask clears it after a kill
        self._folder = Path(tempfile.mkdtemp(prefix="smug-recon-archive-", dir=own))
        self.started = 0
        (self._folder / "model.pt").write_bytes(self.model)
        self.pipeline = self._folder / "pipeline.yaml"
        self.pipeline.write_text(self.pipeline_yaml, encoding="utf-8")
        self.model = b""
        self._environment = environment(worker, self.threads, self.gpus)

    def teardown(self, worker: Any) -> None:
        """Called by Dask when the worker ends or the archive is done; scans that are under way come to nothing."""
        with self._lock:
            self.gone = True
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        for process in idle:
            process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def process(self) -> Iterator[WarmProcess]:
        """A process of one's own for one request: one that is warm, else a new one; PoolGone after ``teardown``."""
        with self._lock:
            if self.gone:
                raise PoolGone("the worker ends, or its client has gone")
            process = self._idle.pop() if self._idle else WarmProcess(self._environment, self.command)
            self.started += not process.scans
            self._busy.add(process)
        try:
            yield process
        except BaseException:
            process.usable = False
            raise
        finally:
            with self._lock:
                self._busy.discard(process)
                kept = process.usable and not self.gone
                if kept:
                    self._idle.append(process)
            if not kept:
                process.stop(gently=False)


def _inherited() -> dict[str, str]:
    """The environment of the worker, without the 64 KiB that Dask lets it keep of what it frees (``MALLOC_TRIM_THRESHOLD_``).

    With them each tensor is asked of the system anew: a reconstruction took twice the processor time.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if (name, value) != ("MALLOC_TRIM_THRESHOLD_", "65536")
    }


def environment(worker: Any, threads: int | None, gpus: int) -> dict[str, str]:
    """Threads of a process, and its GPU where the workers of this machine share several: worker n has GPU n modulo their number."""
    found: dict[str, str] = {}
    if threads:
        found["OMP_NUM_THREADS"] = str(threads)
    number = str(getattr(worker, "name", ""))
    if gpus > 1 and number.isdigit():
        found["CUDA_VISIBLE_DEVICES"] = str(int(number) % gpus)
    return found
