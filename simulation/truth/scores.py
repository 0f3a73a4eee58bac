"""How close a reconstruction comes to the truth, on magnitudes."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """PSNR in dB, SSIM (0..1) and root-mean-square error relative to that of the truth, of one series or
    slice.
    """

    psnr_db: float
    ssim: float
    nrmse: float


def best_scale(image: NDArray, truth: NDArray) -> float:
    """Return the factor ``<|image|, |truth|> / <|image|, |image|>`` that brings an image closest to the
    truth.
    """
    magnitude, wanted = np.abs(image).astype(np.float64), np.abs(truth).astype(np.float64)
    power = float((magnitude**2).sum())
    return float((magnitude * wanted).sum()) / power if power > 0 else 0.0


def score(image_syx: NDArray, truth_syx: NDArray) -> Scores:
    """Compare magnitudes over the whole field of view after the best single scale.

    ``PSNR = 10 log10(max |t|^2 / mean (a |x| - |t|)^2)`` with the peak of the truth; SSIM (Wang et al. 2004,
    DOI 10.1109/TIP.2003.819861) slice by slice with that peak as its range, averaged.
    """
    wanted = np.abs(truth_syx).astype(np.float64)
    scaled = best_scale(image_syx, truth_syx) * np.abs(image_syx).astype(np.float64)
    return scores_at(scaled, wanted, float(wanted.max()))


def scores_at(scaled_syx: NDArray[np.float64], wanted_syx: NDArray[np.float64], peak: float) -> Scores:
    """Compare magnitudes as they are, with ``peak`` as the range of PSNR and SSIM.

    All scores are NaN without a peak, NRMSE alone where the truth holds nothing but zeros beside a given peak.
    """
    square = float(((scaled_syx - wanted_syx) ** 2).mean())
    energy = float((wanted_syx**2).mean())
    if peak <= 0:
        return Scores(psnr_db=math.nan, ssim=math.nan, nrmse=math.nan)  # nothing to compare with
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics imports what it may not need
        from torchmetrics.functional.image import structural_similarity_index_measure
    pair = [torch.from_numpy(array.astype(np.float32))[:, None] for array in (scaled_syx, wanted_syx)]
    ssim = structural_similarity_index_measure(*pair, data_range=peak)
    return Scores(
        psnr_db=10 * math.log10(peak**2 / square) if square > 0 else math.inf,
        ssim=float(ssim),  # type: ignore[arg-type]
        nrmse=math.sqrt(square / energy) if energy > 0 else math.nan,
    )
