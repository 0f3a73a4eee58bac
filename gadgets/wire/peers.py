"""Who may connect: this machine alone unless told otherwise, or those on a list."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable

from smug_recon.errors import ConfigurationError

log = logging.getLogger(__name__)


class Peers:
    """The peers that may connect to ``host``: all that reach it, or the addresses and networks in ``allow``.

    Warns in the log if ``host`` is reached from other machines. ConfigurationError for what is no address.
    """

    def __init__(self, host: str, allow: Iterable[str] = ()) -> None:
        self._networks = [_network(text) for text in allow]
        if not is_loopback(host):
            log.warning(
                "listening on %s: every machine that reaches this port can send scans%s",
                host,
                ""
                if self._networks
                else "; --allow ADDRESS lists those that may, 127.0.0.1 is this machine only",
            )

    def welcome(self, address: str) -> bool:
        """Whether this peer may connect; if not, the log says so."""
        if not self._networks or any(_address(address) in network for network in self._networks):
            return True
        log.warning("a peer that is not on the list of --allow was closed: %s", address)
        return False


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"--allow {text}", "an address or a network such as 192.168.2.0/24", "mend the option"
        ) from None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text.split("%", 1)[0])
    return getattr(found, "ipv4_mapped", None) or found
