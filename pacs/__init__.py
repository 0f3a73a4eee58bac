"""DICOM files to a PACS: a queue on disk, C-STORE with retries, storage commitment."""

from smug_recon.pacs.delivery import Outcome, deliver
from smug_recon.pacs.destination import Destination, load_destination
from smug_recon.pacs.queue import Queue
from smug_recon.pacs.sender import Sender

__all__ = ["Destination", "Outcome", "Queue", "Sender", "deliver", "load_destination"]
