"""The one tree of errors. Every message says what was found, what was expected and what to do.

SmugReconError
├── ConfigurationError   pipeline file, Gadgetron properties, device            (exit code 2)
├── ModelError           model file: hash, card, range                          (exit code 2)
├── HeaderError          the MRD header describes a scan that cannot be reconstructed
├── StreamError          the peer broke the protocol: cut message, unknown id, over-long field
├── DataError            an acquisition contradicts the header, the flags or the lines before it
└── OutputError          a file cannot be written: the disk is full, read-only or not ours
"""

from __future__ import annotations


class SmugReconError(Exception):
    """Base of all errors that this package raises on purpose: ``found``, ``expected``, ``remedy``."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        super().__init__(f"found {found}; expected {expected}; {remedy}")


class ConfigurationError(SmugReconError):
    """The pipeline file, the Gadgetron properties or the device cannot be used."""


class ModelError(SmugReconError):
    """The model file is missing, altered, or does not fit this software or this scan."""


class HeaderError(SmugReconError):
    """The MRD header describes a scan that this chain cannot reconstruct."""

    @classmethod
    def unparsed(cls, error: Exception) -> HeaderError:
        """The error for a header that is no MRD header at all; of the cause its kind is told, not its text."""
        return cls(
            f"an MRD header that cannot be parsed ({type(error).__name__})",
            "a document of the schema ismrmrd.xsd",
            "convert the raw data with a current converter",
        )


class StreamError(SmugReconError):
    """The byte stream breaks the message protocol."""


class DataError(SmugReconError):
    """An acquisition contradicts the header, the flags or the data before it."""


class OutputError(SmugReconError):
    """A file of ours cannot be written; nothing half written is left."""
