"""The spool: every session's bytes on disk as they arrive, so that a scan can be reconstructed again.

Knows bytes, folders and locks; what the bytes mean is known to ``gadgets`` (who calls it) and ``replay`` (who reads it).
"""

from smug_recon.spool.folder import Kept, SpoolFolder
from smug_recon.spool.keeping import Keeping, from_environment
from smug_recon.spool.record import DONE, FAILED, FALLBACK, Record, is_spool

__all__ = [
    "DONE",
    "FAILED",
    "FALLBACK",
    "Keeping",
    "Kept",
    "Record",
    "SpoolFolder",
    "from_environment",
    "is_spool",
]
