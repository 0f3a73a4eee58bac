"""Networks by name, as configs and model cards call them."""

from __future__ import annotations

from torch import nn

from smug_recon.errors import ConfigurationError
from smug_recon.network.smoothing import Plain, Smoothed
from smug_recon.network.unet import UNet
from smug_recon.network.unrolling import Unrolled


def build_denoiser(name: str, channels: tuple[int, ...] = (64, 96, 128)) -> nn.Module:
    """Return a fresh denoiser: ``unet`` with the given channels.

    Raises:
        ConfigurationError: unknown name.
    """
    if name == "unet":
        return UNet(channels)
    raise ConfigurationError(f"denoiser {name!r}", "unet", "correct network.denoiser")


def build_network(
    method: str,
    denoiser: nn.Module,
    *,
    steps: int,
    lam: float,
    learned_lambda: bool,
    iterations: int,
    tolerance: float,
    sigma: float,
    sampling: str,
) -> Unrolled:
    """Return the unrolled network of a method around a denoiser: ``modl`` or ``smug``.

    Raises:
        ConfigurationError: unknown method.
    """
    if method == "modl":
        regulariser: nn.Module = Plain(denoiser)
    elif method == "smug":
        regulariser = Smoothed(denoiser, sigma, sampling)
    else:
        raise ConfigurationError(f"method {method!r}", "modl or smug", "correct network.method")
    return Unrolled(regulariser, steps, lam, learned_lambda, iterations, tolerance)
