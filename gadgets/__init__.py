"""The Gadgetron node: ``python -m gadgetron PORT smug_recon.gadgets reconstruct`` runs
:mod:`smug_recon.gadgets.scan`.

The import is light (no torch): a host that starts the node gets its connection first, and every later failure
as a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gadgetron.external

__all__ = ["reconstruct", "reconstruct_buffers", "run"]


def reconstruct(connection: gadgetron.external.Connection) -> None:
    """Reconstruct the scan that a host sends (see :func:`smug_recon.gadgets.scan.reconstruct`)."""
    from smug_recon.gadgets.scan import reconstruct as scan

    scan(connection)


def reconstruct_buffers(connection: gadgetron.external.Connection) -> None:
    """Reconstruct what Gadgetron's C++ front end sends (see :mod:`smug_recon.gadgets.front_end`)."""
    from smug_recon.gadgets.front_end import reconstruct_buffers as front_end

    front_end(connection)


def __getattr__(name: str) -> Any:
    if name == "run":
        from smug_recon.gadgets.scan import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
