"""TLS as DICOM wants it (PS3.15 annex B.9, BCP 195): version 1.2 or later, the peer's certificate verified."""

from __future__ import annotations

import ssl

from smug_recon.errors import ConfigurationError
from smug_recon.pacs.destination import Tls


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of a connection to the peer; ConfigurationError for files that cannot be used."""
    return _context(tls, ssl.Purpose.SERVER_AUTH)


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context of the peer's connection to us: it must show a certificate; ConfigurationError."""
    if tls.certificate is None:
        raise ConfigurationError(
            "commitment.listen with TLS, and no certificate of our own",
            "tls.certificate and tls.key",
            "give them, or leave listen out",
        )
    context = _context(tls, ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(tls: Tls, purpose: ssl.Purpose) -> ssl.SSLContext:
    def no_password() -> str:
        raise ConfigurationError(
            "a key with a password", "a key that this user can read without one", "remove the password"
        )

    what = "tls.ca"
    try:
        context = ssl.create_default_context(purpose, cafile=str(tls.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None:
            what = "tls.certificate and tls.key"
            key = str(tls.key) if tls.key else None
            context.load_cert_chain(str(tls.certificate), key, no_password)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{what}, which cannot be read ({getattr(error, 'reason', None) or error.strerror})",
            "PEM files",
            "mend the path, or the file",
        ) from None
    return context
