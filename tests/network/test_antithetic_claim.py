"""The claim behind the default: on the shipped, trained model 2 antithetic copies come closer to the true smoothed image than 10
independent ones."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from smug_recon.gadgets.model.file import read_card
from smug_recon.physics import fft_centred
from smug_recon.pipeline import load_pipeline
from smug_recon.simulation.protocol.masks import sampling_mask
from smug_recon.simulation.receiver.coils import head_array, unit_norm
from smug_recon.simulation.receiver.phase import smooth_field


def small_scan() -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[-0.5:0.5:96j, -0.5:0.5:80j]
    inside = (y / 0.42) ** 2 + (x / 0.4) ** 2 < 1
    image = inside * (0.6 + 0.15 * smooth_field((96, 80), rng, 12)) + 0.3 * (
        (y / 0.15) ** 2 + (x / 0.1) ** 2 < 1
    )
    maps, _ = unit_norm(head_array(np.stack([x, y, 0 * x]), 6, rng))
    maps_cyx = torch.from_numpy(maps)
    mask_y = torch.from_numpy(sampling_mask(96, 4, 16, rng)).float()
    noise = torch.from_numpy(rng.normal(0, 0.005, (2, 6, 96, 80)).astype(np.float32))
    kspace = fft_centred(maps_cyx * torch.from_numpy(image.astype(np.complex64)), [-2]) + torch.complex(
        noise[0], noise[1]
    )
    return (kspace * mask_y[:, None])[None], maps_cyx[None], mask_y[None]


def test_two_antithetic_copies_beat_ten_independent_ones_on_the_shipped_model() -> None:
    path = load_pipeline().model_path
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        model = torch.jit.load(str(path)).eval()
    inputs = small_scan()

    def image(antithetic: bool, samples: int, seed: int) -> Tensor:
        model.regulariser.antithetic = antithetic
        model.regulariser.mirror = False
        with torch.inference_mode():
            return model(*inputs, seed, samples)[0]  # type: ignore[no-any-return]

    truth = image(True, 40, 1000)
    distances = {
        name: float(
            torch.stack([(image(pairs, samples, seed) - truth).abs().square().mean() for seed in range(3)])
            .mean()
            .sqrt()
        )
        for name, pairs, samples in (("2 antithetic", True, 2), ("10 independent", False, 10))
    }
    assert distances["2 antithetic"] < distances["10 independent"], distances
    assert distances["10 independent"] > 1e-4 * float(truth.abs().max()), "the noise does not reach the image"


def test_the_default_is_one_antithetic_pair() -> None:
    pipeline = load_pipeline()
    card = read_card(pipeline.model_path)
    assert (pipeline.samples, card.sampling, card.sigma) == (2, "antithetic", 0.01)
