"""From a network to the model file, TorchScript with its card inside, and back. The one place that writes TorchScript."""

from __future__ import annotations

import io
import json
import subprocess
import warnings
from pathlib import Path
from typing import Any

import torch

from smug_recon import __version__
from smug_recon.errors import ConfigurationError, ModelError
from smug_recon.gadgets.model.file import read_card
from smug_recon.network.smoothing import SAMPLINGS
from smug_recon.network.unrolling import Unrolled
from smug_recon.training.config import NetworkConfig, TrainingConfig
from smug_recon.training.material import Material
from smug_recon.training.weights import network_of
from smug_recon.whole_file import whole_file

FORMAT = "smug-recon-model/1"
SCALING_RULE = "mean of the brightest 1 % of |A^H y| becomes 1"
SAME = 1e-3  # relative difference of two images that rounding and a stopped solver may leave


def commit_of(folder: Path) -> str:
    """Return the git commit of a folder, with ``+`` where tracked files differ from it, ``unknown`` outside a repository."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        )
        clean = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=folder, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("" if clean.returncode == 0 else "+")


def make_card(
    network: Unrolled,
    config: TrainingConfig,
    material: Material,
    metrics: dict[str, Any],
    updates: dict[str, int],
) -> dict[str, Any]:
    """Return the model card: what the network is, what it was trained on, and how far it may be trusted.

    Args:
        network: as exported. config: of its training. material: that it saw.
        metrics: measured, by name. updates: trained, by stage.
    """
    scans = config.data.scans
    return {
        "format": FORMAT,
        "name": config.name,
        "version": __version__,
        "method": config.network.method,
        "denoiser": {"name": config.network.denoiser, "channels": list(config.network.channels)}
        | ({"blocks": config.network.blocks} if config.network.denoiser == "didn" else {}),
        "parameters": sum(value.numel() for value in network.parameters()),
        "steps": network.steps,
        "lambda": {
            "at_level_0.01": [round(value, 5) for value in network.log_lambda.detach().exp().tolist()],
            "exponent": round(network.exponent.detach().item(), 4),
        },
        "sigma": config.network.sigma,
        "samples": 2,
        "sampling": config.network.sampling,
        "mirror": config.network.mirror,
        "scaling": SCALING_RULE,
        "trained_range": {
            "anatomy": material.anatomy,
            "contrasts": material.contrasts,
            "matrix_yx": material.matrix_yx,
            "coils": material.coils,
            "acceleration": list(scans.acceleration),
            "calibration_lines": list(scans.calibration),
            "noise_level": material.noise,
            "patterns": ["random", "regular"] if scans.random_fraction < 1 else ["random"],
        },
        "training": {"updates": updates, "seed": config.seed, "precision": config.precision},
        "training_data": material.sources,
        "metrics": metrics,
        "commit": commit_of(Path(__file__).parent),
    }


def export(network: Unrolled, card: dict[str, Any], path: Path) -> None:
    """Write the model file: ``forward(kspace_bcyx, maps_bcyx, mask, seed, samples) -> (image_byx, spread_byx)``.

    The card lies in ``_extra_files["card.json"]``. Written whole or not at all, and only where the file, read back, reconstructs
    made-up data as the network does.

    Raises:
        ModelError: it does not.
    """
    network = network.to("cpu").eval().requires_grad_(False)
    with whole_file(path) as unfinished:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
            scripted = torch.jit.script(network)
            torch.jit.save(
                scripted, str(unfinished), _extra_files={"card.json": json.dumps(card, indent=1).encode()}
            )
            difference = _difference(network, torch.jit.load(str(unfinished), map_location="cpu").eval())
        if not difference < SAME:
            raise ModelError(
                f"a TorchScript file whose image differs by {difference:.2g} from the network's",
                f"less than {SAME:g}",
                "the weights may be no numbers: look at the curve of the training",
            )


def load_exported(path: Path) -> Unrolled:
    """Return the network of a model file as a module that can be changed and differentiated, in evaluation mode.

    Built from the card and the settings in the file; that it is the file's network is checked by reconstructing made-up data
    with both.

    Raises:
        ModelError: no model file, or its network is not one that this version builds from its card.
    """
    card = read_card(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
            scripted = torch.jit.load(io.BytesIO(path.read_bytes()), map_location="cpu").eval()
        state = scripted.state_dict()
        network = network_of(_network_config(card.method, card.denoiser, card.steps, scripted))
        precision = next(value.dtype for name, value in state.items() if "denoiser" in name)
        network.regulariser.get_submodule("denoiser").to(precision)
        network.load_state_dict(state)
        network.eval().requires_grad_(False)
        difference = _difference(network, scripted)
    except (
        RuntimeError,
        AttributeError,
        KeyError,
        StopIteration,
        TypeError,
        ValueError,
        ConfigurationError,
    ) as error:
        raise ModelError(
            f"{path.name}, whose network does not fit its card ({' '.join(str(error).split())[:300]})",
            f"{card.method} around {card.denoiser} with {card.steps} steps",
            "export it with this version, or export the weights alone: smug-recon export -o NAME.safetensors",
        ) from None
    if not difference < SAME:
        raise ModelError(
            f"{path.name}, whose image differs by {difference:.2g} from that of the network built from its card",
            f"less than {SAME:g}",
            "export the weights alone: smug-recon export -o NAME.safetensors",
        )
    return network


def _network_config(method: str, denoiser: Any, steps: int, scripted: Any) -> NetworkConfig:
    """Return the config of a scripted network: what it is from its card, how it runs from itself."""
    smoothing = scripted if method == "rs-e2e" else scripted.regulariser
    said: dict[str, Any] = {"method": method, "denoiser": denoiser["name"], "channels": denoiser["channels"]}
    if "blocks" in denoiser:
        said["blocks"] = denoiser["blocks"]
    said |= {name: getattr(scripted, name) for name in ("iterations", "tolerance", "shared_noise")}
    if method != "modl":
        said["sigma"] = smoothing.sigma
        said["sampling"] = SAMPLINGS[0] if smoothing.antithetic else SAMPLINGS[1]
        said["mirror"] = getattr(smoothing, "mirror", False)
    if method == "rs-e2e":
        said["reading"] = "kspace" if scripted.noisy_kspace else "image"
    return NetworkConfig.model_validate({**said, "steps": steps, "learned_lambda": True})


@torch.inference_mode()
def _difference(network: Unrolled, scripted: Any) -> float:
    """Return |image - image'| / |image'| of the two on 4x undersampled noise."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn((2, 1, 2, 48, 32), generator=generator)
    mask_by = (torch.arange(48) % 4 == 0).float()[None]
    maps_bcyx = torch.full((1, 2, 48, 32), 2**-0.5, dtype=torch.complex64)
    inputs = (torch.complex(drawn[0], drawn[1]) * mask_by[:, None, :, None], maps_bcyx, mask_by, 1, 2)
    image_byx, expected_byx = network(*inputs)[0], scripted(*inputs)[0]
    return float((image_byx - expected_byx).norm() / expected_byx.norm())
