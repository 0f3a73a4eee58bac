"""What the sessions of one server share: configurations, models, the device, metrics, the word to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from smug_recon.errors import ConfigurationError, StreamError
from smug_recon.gadgets.wire.protocol import Limits
from smug_recon.pipeline import SpoolSettings
from smug_recon.scanner.catalogue import Catalogue
from smug_recon.scanner.metrics import Metrics
from smug_recon.scanner.models import Models
from smug_recon.scanner.onlookers import Onlookers
from smug_recon.scanner.turns import SharedModel, Turns

if TYPE_CHECKING:
    from smug_recon.gadgets.model.card import Card
    from smug_recon.gadgets.model.file import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a server behaves: where it listens, whom it serves, how long it waits. Seconds."""

    host: str = "127.0.0.1"
    port: int = 9020
    sessions: int = 4
    allow: tuple[str, ...] = ()
    idle_s: float = 600.0
    grace_s: float = 30.0
    limits: Limits = field(default_factory=Limits)
    status_port: int | None = None
    status_host: str = "127.0.0.1"
    spool: SpoolSettings | None = None

    def __post_init__(self) -> None:
        for name in ("sessions", "idle_s", "grace_s"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"{name} = {getattr(self, name)}", "more than 0", "mend the option")


@dataclass
class House:
    """The shared things; ``stopping`` is set when sessions may not go on any more, ``ready`` when the model is there."""

    settings: Settings
    catalogue: Catalogue
    models: Models = field(default_factory=Models)
    metrics: Metrics = field(default_factory=Metrics)
    onlookers: Onlookers = field(default_factory=Onlookers)
    stopping: threading.Event = field(default_factory=threading.Event)
    ready: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    trouble: str = ""

    def __post_init__(self) -> None:
        self.turns = Turns(self.settings.sessions)
        self.cpu_turns = Turns(self.settings.sessions)
        self.gpu_lost = ""
        self.metrics.watch(self)

    def check(self) -> None:
        """StreamError once sessions may not go on."""
        if self.stopping.is_set():
            raise stopped()

    def lost(self, reason: str) -> None:
        """The device is gone: sessions go on without it, and ``/ready`` says so until the server is started anew."""
        if self.gpu_lost:
            return
        self.gpu_lost = reason
        self.models.leave_gpu(reason)
        self.trouble = "the GPU was lost: what runs now runs on the CPU; start the server anew"
        log.error("%s (%s)", self.trouble, reason)

    def shared(
        self, model: Model, session: int, waited: Callable[[float], None] = lambda seconds: None
    ) -> SharedModel:
        """A model behind the queue before the device, for one session."""
        return SharedModel(
            model,
            self.cpu_turns if self.gpu_lost and model.device.type == "cpu" else self.turns,
            self.stopping.is_set,
            self.lost,
            session,
            spare=self.cpu_turns,
            gone=lambda: self.gpu_lost,
            waited=waited,
        )

    def warm_up(self) -> None:
        """Load the default model and run it, so that the first session waits neither for it nor for TorchScript's compiler.

        TorchScript compiles at the second run, for scans of any size.
        """
        from smug_recon.gadgets.model.absent import is_absent
        from smug_recon.gadgets.model.guard import warmed_up
        from smug_recon.pipeline import load_pipeline

        try:
            pipeline = load_pipeline()
            model = self.models.get(pipeline)
            if not is_absent(model):
                shared = cast("Model", self.shared(model, 0))
                warmed_up(shared, (*smallest_scan(model.card), pipeline.samples))
            self.ready.set()
        except Exception as error:  # every session tries again, and tells its host
            self.trouble = f"the model cannot be loaded: {type(error).__name__}: {error}"
            log.error("the model cannot be loaded: %s", error)


def smallest_scan(card: Card) -> tuple[int, int, int]:
    """Coils, lines and readout of a small scan in the trained range of a model."""
    trained = card.trained_range
    (low_y, high_y), (low_x, high_x) = trained.matrix_yx
    lines_y, readout_x = (int(max(low, min(64, high))) for low, high in ((low_y, high_y), (low_x, high_x)))
    return int(max(trained.coils[0], min(4, trained.coils[1]))), lines_y, readout_x


def stopped() -> StreamError:
    """What a host hears whose scan is handed back."""
    return StreamError("a server that is being stopped", "the whole scan before that", "send the scan again")
