"""A client of a Dask scheduler that runs already, for archives and evaluations."""

from __future__ import annotations

import gc
import traceback
from typing import TYPE_CHECKING, Any

from smug_recon.errors import ConfigurationError

if TYPE_CHECKING:
    from distributed import Client


def client_of(address: str, timeout_s: float, **settings: Any) -> Client:
    """Return a client connected to the scheduler at ``address``; ``settings`` are those of :class:`distributed.Client`.

    Raises:
        ConfigurationError: nobody answers there within ``timeout_s`` seconds, or not in the way that is wanted.
    """
    from distributed import Client

    try:
        return Client(address, timeout=timeout_s, **settings)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        traceback.clear_frames(error.__traceback__)
    # A client that could not connect closes itself when it is collected. Now: if that came while another one is being started, it
    # would wait for a lock that this thread holds (distributed 2026.8, LoopRunner).
    gc.collect()
    raise ConfigurationError(
        f"no Dask scheduler at {address} ({said})",
        "the address of a dask.distributed scheduler, such as tcp://host:8786",
        "check the address, that it runs the same version of Dask, and whether it wants TLS (tls://, --tls)",
    )
