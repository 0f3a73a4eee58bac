"""Noise prewhitening: after it, the noise of every coil has variance one and no two coils share any.

Since whitening is linear it commutes with the readout transform and with averaging, and is applied to whole slices: a
noise scan (``noise_scan.py``) that arrives late, between the lines of a shuffled scan, still counts.

    k' = s W k,   W C W^H = I,   s = sqrt(dwell_imaging / dwell_noise * receiver_noise_bandwidth)

Source: Kellman and McVeigh, MRM 54:1439 (2005), DOI 10.1002/mrm.20713; scaling as in Gadgetron's
NoiseAdjustGadget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from smug_recon.calibration.channels import whitening_without
from smug_recon.gadgets.flow.items import Slice, Volume
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.readouts.noise_scan import NoiseScan


def prewhiten(items: Iterable[Any], noise: NoiseScan, plan: Plan) -> Iterator[Any]:
    """Whiten every slice, its separate calibration lines included; without a noise scan slices pass as they
    are."""
    for item in items:
        if isinstance(item, Slice) and plan.pipeline.prewhitened_upstream:
            whitened_before(item)
        elif isinstance(item, Slice) and plan.pipeline.prewhitening:
            whitening_cc = noise.whitening(item.kspace_cyx.shape[0] + len(item.left_out))
            if whitening_cc is not None:
                if item.left_out:
                    whitening_cc = whitening_without(whitening_cc, item.left_out)
                bandwidth = plan.receiver_noise_bandwidth
                scale = noise.scale(item.dwell_us, bandwidth)
                if isinstance(item, Volume):
                    whiten_in_place(item.kspace_cyx, whitening_cc * scale)
                else:
                    whiten_rows(item.kspace_cyx, item.mask_y, whitening_cc * scale)
                if item.calibration_cyx is not None:
                    scale = noise.scale(item.calibration_dwell_us, bandwidth)
                    item.calibration_cyx = whiten(item.calibration_cyx, whitening_cc * scale)
                item.whitened = True
        yield item


def whitened_before(item: Slice) -> None:
    """Bring a slice that Gadgetron's NoiseAdjustGadget has whitened from variance 2 to variance 1, in place.

    There the real and the imaginary part have variance 1 each, unless a dwell time was unknown: then both share it.
    """
    item.kspace_cyx = item.kspace_cyx * (0.5**0.5 if item.dwell_us > 0 else 1.0)
    if item.calibration_cyx is not None:
        item.calibration_cyx = item.calibration_cyx * (0.5**0.5 if item.calibration_dwell_us > 0 else 1.0)
    item.whitened = True


def whiten(kspace_cyx: Tensor, whitening_cc: Tensor) -> Tensor:
    """Return ``sum_d W_cd k_d`` for every sample."""
    return torch.einsum("cd,dyx->cyx", whitening_cc, kspace_cyx)


def whiten_rows(kspace_cyx: Tensor, mask_y: Tensor, whitening_cc: Tensor) -> None:
    """Do the same in place to the rows that were acquired, one by one; the others are zero.

    A row is the same bits whichever others there are: coil maps made ahead are compared with those of the complete slice.
    """
    for row in torch.nonzero(mask_y).flatten().tolist():
        kspace_cyx[:, row] = whitening_cc @ kspace_cyx[:, row]


def whiten_in_place(kspace_cnx: Tensor, whitening_cc: Tensor, rows: int = 512) -> None:
    """Do the same to some rows at a time, where a second copy of a slab would not fit into memory."""
    for start in range(0, kspace_cnx.shape[1], rows):
        chosen = slice(start, start + rows)
        kspace_cnx[:, chosen] = whiten(kspace_cnx[:, chosen], whitening_cc)
