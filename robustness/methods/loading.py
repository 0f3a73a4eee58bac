"""From the config's methods to things that reconstruct."""

from __future__ import annotations

from typing import Any

from torch import nn

from smug_recon.errors import ConfigurationError
from smug_recon.network.smoothing import SAMPLINGS, Plain, Smoothed
from smug_recon.network.weighting import weighted_regulariser
from smug_recon.robustness.methods.bounded import Bounded
from smug_recon.robustness.methods.classical import CgSense, ZeroFilled
from smug_recon.robustness.methods.method import Method
from smug_recon.robustness.methods.network import NetworkMethod, set_steps
from smug_recon.robustness.methods.wavelet import L1Wavelet
from smug_recon.robustness.settings.methods import MethodSettings
from smug_recon.training.cache import sha256_of


def require_weights(methods: tuple[MethodSettings, ...]) -> None:
    """Refuse, in one message, a config whose weights are not there.

    Raises:
        ConfigurationError: naming every missing file and how it is made.
    """
    missing = [
        method.weights for method in methods if method.weights is not None and not method.weights.is_file()
    ]
    if missing:
        raise ConfigurationError(
            "no weights " + ", ".join(str(path) for path in dict.fromkeys(missing)),
            "the trained networks that the config names",
            "train them (smug-recon train training/configs/NAME.yaml, docs/training.md), or take their methods out: "
            + ", ".join(dict.fromkeys(path.stem for path in missing)),
        )


def build_method(settings: MethodSettings, device: str = "cpu") -> Method:
    """Return the method that the settings describe; a ``regularisation`` of ``auto`` must have been tuned before."""
    if settings.kind == "zero-filled":
        return ZeroFilled(settings.name)
    if settings.kind != "network":
        if settings.regularisation == "auto":
            raise ConfigurationError(
                f"{settings.name} not tuned", "a number", "set regularisation or tune it first"
            )
        make: Any = CgSense if settings.kind == "cg-sense" else L1Wavelet
        method: Method = make(settings.regularisation, settings.iterations, settings.name)
        return method
    require_weights((settings,))
    assert settings.weights is not None
    if settings.weights.suffix == ".pt":
        from smug_recon.training.export import load_exported

        network = load_exported(settings.weights)
    else:
        from smug_recon.training.weights import load_network

        network, _ = load_network(settings.weights)
    model = f"{settings.weights.stem}@{sha256_of(settings.weights)[:8]}"
    return network_method(settings, network, model, device)


def network_method(
    settings: MethodSettings, network: nn.Module, model: str, device: str = "cpu"
) -> NetworkMethod:
    """Apply the run-time settings to a network."""
    network = network.to(device).eval().requires_grad_(False)
    changed = {"sigma": settings.sigma, "mirror": settings.mirror}
    if settings.sampling is not None:
        changed["antithetic"] = settings.sampling == SAMPLINGS[0]
    if settings.weighting is not None:
        _reweigh(settings, network)
    for module in list(network.modules()):
        for name, value in changed.items():
            if value is not None and hasattr(module, name):
                setattr(module, name, value)
        if settings.bound != "none" and isinstance(module, Plain | Smoothed):
            module.denoiser = Bounded(module.denoiser, settings.bound, settings.bound_at)
    if settings.steps is not None:
        set_steps(network, settings.steps)
    smooths = any(hasattr(module, "sigma") for module in network.modules())
    stochastic = smooths and settings.samples > 0
    return NetworkMethod(settings.name, model, network, settings.samples, stochastic)  # type: ignore[arg-type]


def _reweigh(settings: MethodSettings, network: nn.Module) -> None:
    """Give the copies of a smoothed network other weights, in place."""
    old = getattr(network, "regulariser", None)
    if not isinstance(old, Smoothed):
        raise ConfigurationError(
            f"method {settings.name}: weighting {settings.weighting} of a network without smoothing in its steps",
            "the weights of smug or weighted-smug",
            "take weighting out",
        )
    sampling = SAMPLINGS[0] if old.antithetic else SAMPLINGS[1]
    network.regulariser = weighted_regulariser(str(settings.weighting), old.denoiser, old.sigma, sampling)
