"""Raw files in, images out, through the very chain that runs on the scanner."""

from smug_recon.replay.offline import ReplayResult, replay
from smug_recon.replay.raw import open_raw, read_items

__all__ = ["ReplayResult", "open_raw", "read_items", "replay"]
