"""What a storage does to a run that it does not answer: one kind of error, whatever its client calls it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from smug_recon.archive.warm import PoolGone
from smug_recon.errors import OutputError, SmugReconError


@contextlib.contextmanager
def reached(url: str) -> Iterator[None]:
    """Turn what the clients of object stores raise beside OSError (no connection, no credentials) into an OutputError."""
    try:
        yield
    except (SmugReconError, OSError, PoolGone):
        raise
    except Exception as error:
        about = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise OutputError(
            f"{url}, which cannot be reached ({about})",
            "a storage that answers",
            "check network and credentials, then run the same command again (--retry-failed for what has failed)",
        ) from error
