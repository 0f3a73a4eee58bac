"""Networks by name, as configs and model cards call them."""

from __future__ import annotations

from torch import nn

from smug_recon.errors import ConfigurationError
from smug_recon.network.didn import Didn
from smug_recon.network.end_to_end import RsE2E
from smug_recon.network.smoothing import Plain, Smoothed
from smug_recon.network.unet import UNet
from smug_recon.network.unrolling import Unrolled
from smug_recon.network.weighting import weighted_regulariser


def build_denoiser(name: str, channels: tuple[int, ...] = (64, 96, 128), blocks: int = 3) -> nn.Module:
    """Return a fresh denoiser: ``unet`` with ``channels``, or ``didn`` with ``blocks`` blocks of ``channels[0]`` channels.

    Raises:
        ConfigurationError: unknown name.
    """
    if name == "unet":
        return UNet(channels)
    if name == "didn":
        return Didn(blocks, channels[0])
    raise ConfigurationError(f"denoiser {name!r}", "unet or didn", "correct network.denoiser")


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
    mirror: bool = False,
    shared_noise: bool = False,
    reading: str = "image",
    weighting: str = "image",
) -> Unrolled:
    """Return the unrolled network of a method around a denoiser: ``modl``, ``smug``, ``weighted-smug`` or ``rs-e2e``.

    ``sigma`` and ``sampling`` are of the smoothing, ``mirror`` of ``smug``, ``reading`` of ``rs-e2e`` (:class:`RsE2E`),
    ``weighting`` of ``weighted-smug`` (:func:`weighted_regulariser`).

    Raises:
        ConfigurationError: unknown method.
    """
    if method == "rs-e2e":
        return RsE2E(
            denoiser,
            sigma,
            sampling,
            reading,
            steps=steps,
            lam=lam,
            learned=learned_lambda,
            iterations=iterations,
            tolerance=tolerance,
        )
    if method == "modl":
        regulariser: nn.Module = Plain(denoiser)
    elif method == "smug":
        regulariser = Smoothed(denoiser, sigma, sampling, mirror)
    elif method == "weighted-smug":
        regulariser = weighted_regulariser(weighting, denoiser, sigma, sampling)
    else:
        raise ConfigurationError(
            f"method {method!r}", "modl, smug, weighted-smug or rs-e2e", "correct network.method"
        )
    return Unrolled(regulariser, steps, lam, learned_lambda, iterations, tolerance, shared_noise)
