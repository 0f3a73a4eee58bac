"""DICOM files to a PACS: a queue on disk, C-STORE with retries, storage commitment."""

from importlib.util import find_spec

from smug_recon.errors import ConfigurationError

if find_spec("pynetdicom") is None:
    raise ConfigurationError(
        "no pynetdicom", "the package that speaks with a PACS", "pip install 'smug-recon[pacs]'"
    )

from smug_recon.pacs.delivery import Outcome, deliver
from smug_recon.pacs.destination import Destination, load_destination
from smug_recon.pacs.queue import Queue
from smug_recon.pacs.sender import Sender

__all__ = ["Destination", "Outcome", "Queue", "Sender", "deliver", "load_destination"]
