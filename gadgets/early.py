"""The scan is read while torch is imported and the model is loaded and warmed up: a scanner does not wait for us."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smug_recon.errors import SmugReconError, StreamError

if TYPE_CHECKING:
    from smug_recon.gadgets.model.file import Model
    from smug_recon.gadgets.wire.connection import GuardedConnection
    from smug_recon.pipeline import Pipeline

log = logging.getLogger(__name__)

LOOK_S = 0.05
"""How often a silent host is left to see whether the model is there, in seconds."""
AHEAD_BYTES = 256 << 20
"""No more than this is read ahead, five seconds and more of a scanner at full rate; then the host waits."""


def prepare_while_reading(
    host: GuardedConnection,
    pipeline: Pipeline,
    load: Callable[[], Model] | None = None,
    ahead_bytes: int = AHEAD_BYTES,
    watch: Callable[[Iterable[Any]], Iterator[Any]] = iter,
) -> tuple[Model, Iterator[Any]]:
    """Return the model and all items of the host, those read in the meantime first.

    The header is checked before the first readout, the model and its card as soon as they are there. A host that
    breaks off while the model is being loaded is an error where the stream broke off, behind what had arrived: the
    slices that are complete are reconstructed and sent first, as they are when it breaks off later.

    Args:
        host: the connection, after its handshake.
        pipeline: the settings.
        load: gives the model; without it the one of the pipeline is loaded and warmed up for this header.
        ahead_bytes: how much to read ahead at most.
        watch: sees the items as they are read.

    Raises:
        What loading raises; the host is not read by anybody else when it does. The items raise what reading raises.
    """
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.header.units import correct_units

    build_plan(correct_units(host.header)[0], pipeline)
    began = time.perf_counter()
    log.info("connected after %.2f s; reading the scan while the model is loaded", since_start_s())
    loading = _Loading(load or (lambda: load_and_warm_up(host, pipeline)))
    seen: list[Any] = []
    source, size, done = watch(host), 0, False
    broken: StreamError | None = None
    while not loading.over.is_set():
        if done or size >= ahead_bytes or not host.due(LOOK_S):
            loading.over.wait(LOOK_S)
            continue
        try:
            item = next(source)
        except StopIteration:
            done = True
            continue
        except StreamError as error:
            broken, done = error, True
            continue
        seen.append(item)
        size += getattr(getattr(item, "data", None), "nbytes", 1024)
    model = loading.result()
    log.info(
        "the model is ready after %.2f s on %s; %d items of the scan were read in the meantime",
        time.perf_counter() - began,
        model.device,
        len(seen),
    )
    return model, itertools.chain(_emptied(seen), source if broken is None else _raising(broken))


def load_and_warm_up(
    host: GuardedConnection, pipeline: Pipeline, load: Callable[[Path, str, str], Model] | None = None
) -> Model:
    """Load the model of the pipeline, with ``load`` if given, and run it at the size that the header announces."""
    from smug_recon.gadgets.header.units import correct_units
    from smug_recon.gadgets.model.absent import model_of
    from smug_recon.gadgets.scan import prepare

    model = None if load is None else model_of(pipeline, load)
    return prepare(correct_units(host.header)[0], pipeline, model)[1]


def since_start_s() -> float:
    """Seconds since this process was started, 0.0 where the system does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        up_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        return up_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


class _Loading:
    """A model that is being loaded in another thread; the process does not end before it is through."""

    def __init__(self, load: Callable[[], Model]) -> None:
        self.over = threading.Event()
        self._model: Model | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, args=(load,), name="load the model").start()

    def _run(self, load: Callable[[], Model]) -> None:
        try:
            self._model = load()
        except BaseException as error:  # raised again where the scan is read
            self._error = error
        finally:
            self.over.set()

    def result(self) -> Model:
        """The model, or the error that came instead."""
        if self._error is not None:
            if isinstance(self._error, SmugReconError):
                raise self._error.with_traceback(None)
            raise self._error
        assert self._model is not None
        return self._model


def _emptied(items: list[Any]) -> Iterator[Any]:
    """The items of a list, which lets go of each as it is taken."""
    items.reverse()
    while items:
        yield items.pop()


def _raising(error: StreamError) -> Iterator[Any]:
    """An iterator that raises where another one broke off."""
    raise error
    yield
