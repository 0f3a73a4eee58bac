"""What a network is worth on subjects that it has not seen: the figures of the model card."""

from __future__ import annotations

from typing import Any

import torch

from smug_recon.network.unrolling import Unrolled
from smug_recon.physics import cg_sense, sense_adjoint
from smug_recon.training.psnr import psnr_db
from smug_recon.training.sources import Source


@torch.inference_mode()
def validate(
    network: Unrolled,
    source: Source,
    count: int = 32,
    seed: int = 0,
    samples: int = 2,
) -> dict[str, Any]:
    """Reconstruct ``count`` scans of a source; return mean PSNR in dB of the network, CG-SENSE and zero-filling, and by how much
    the network is better than CG-SENSE (mean, smallest).

    The slices are whole and the maps estimated by ESPIRiT; the target is the fully sampled scan, noise included.

    Args:
        network: as exported. source: scans of held-out subjects. seed: names the scans and the smoothing noise. samples: copies.
    """
    source = source.drawn_as(source.config.model_copy(update={"estimated_maps": 1.0, "crops": (0.0,)}))
    found: dict[str, list[float]] = {"network": [], "cg_sense": [], "zero_filled": []}
    network = network.eval()
    for number in range(count):
        lines_y = source.lines_y[number % len(source.lines_y)]
        scan = source.draw(10_000 + seed, number, lines_y, whole=True)
        kspace, maps, mask = scan.kspace_cyx[None], scan.maps_cyx[None], scan.mask_y[None]
        images = {
            "network": network(kspace, maps, mask, seed, samples)[0],
            "cg_sense": cg_sense(kspace, maps, mask),
            "zero_filled": sense_adjoint(kspace, maps, mask),
        }
        for name, image_byx in images.items():
            found[name].append(float(psnr_db(image_byx, scan.target_yx[None])))
    gains = [ours - linear for ours, linear in zip(found["network"], found["cg_sense"], strict=True)]
    means = {f"psnr_db_{name}": round(sum(values) / count, 2) for name, values in found.items()}
    return {
        **means,
        "gain_over_cg_sense_db": {"mean": round(sum(gains) / count, 2), "smallest": round(min(gains), 2)},
        "scans": count,
        "subjects": source.subjects,
    }
