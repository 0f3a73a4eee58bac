"""Denoisers: the reference architecture by its numbers and names, any size, identity at the start."""

from __future__ import annotations

import pytest
import torch

from smug_recon.errors import ModelError
from smug_recon.network import Didn, UNet, WeightEncoder, load_reference


def parameters(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_parameter_counts_of_the_paper() -> None:
    assert parameters(Didn()) == 5_021_761
    assert parameters(Didn(blocks=2)) == 3_372_984
    assert parameters(WeightEncoder()) == 9_681


def test_state_dict_names_of_the_reference() -> None:
    names = set(Didn(blocks=2, width=8).state_dict())
    known = "conv_input.weight relu1.weight recursive.0.conv1.weight recursive.1.relu24.weight recursive.1.conv25.bias"
    for name in [*known.split(), "conv_mid.weight", "conv_mid2.bias", "relu4.weight", "conv_output.bias"]:
        assert name in names
    encoder = set(WeightEncoder().state_dict())
    assert {
        "features.0.weight",
        "features.1.running_var",
        "features.12.weight",
        "features.13.bias",
        "fc.weight",
    } <= encoder
    assert "features.0.bias" not in encoder


@pytest.mark.parametrize("layout", ["plain", "parallel", "combined"])
def test_reference_checkpoints_load(layout: str) -> None:
    trained, encoder = Didn(blocks=2, width=8), WeightEncoder()
    state = trained.state_dict()
    checkpoint = {
        "plain": state,
        "parallel": {f"module.{name}": value for name, value in state.items()},
        "combined": {"netG": state, "weight_encoder": encoder.state_dict(), "epoch": 3},
    }[layout]
    loaded, found = load_reference(checkpoint)
    image = torch.randn(1, 2, 16, 16)
    assert torch.equal(loaded(image), trained(image))
    assert (found is not None) == (layout == "combined")
    if found is not None:
        WeightEncoder().load_state_dict(found)


def test_a_foreign_checkpoint_is_refused() -> None:
    with pytest.raises(ModelError, match="netG"):
        load_reference({"model": {}})


@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (40, 9)])
def test_any_size_goes_through(shape: tuple[int, int]) -> None:
    image = torch.randn(2, 2, *shape)
    assert Didn(1, 8)(image, torch.zeros(2)).shape == image.shape
    assert torch.equal(UNet((8, 8))(image, torch.zeros(2)), image)  # the identity before training


def test_weights_lie_between_zero_and_one() -> None:
    weights = WeightEncoder().eval()(torch.randn(5, 2, 20, 20))
    assert weights.shape == (5,)
    assert ((weights > 0) & (weights < 1)).all()
