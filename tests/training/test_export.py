"""The exported model: same pixels as the network, and a card that says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from smug_recon.errors import ConfigurationError, ModelError
from smug_recon.gadgets.model.file import load_model, read_card, sha256_of
from smug_recon.training.blend import Blend
from smug_recon.training.checkpoint import load_checkpoint
from smug_recon.training.config import TrainingConfig
from smug_recon.training.convert import convert
from smug_recon.training.export import export
from smug_recon.training.loop import train
from smug_recon.training.weights import load_network, network_of


def test_exported_model_equals_the_averaged_weights(config: TrainingConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "run")
    model_file = tmp_path / "model.pt"
    convert(
        tmp_path / "run" / "checkpoint.pt", model_file, {"psnr_db": 1.5}, config.data.slices, ["val"], count=2
    )
    network = network_of(config.network).eval()
    network.load_state_dict(load_checkpoint(tmp_path / "run" / "checkpoint.pt")["averaged"])
    maps = torch.full((1, 4, 40, 36), 0.5, dtype=torch.complex64)
    mask = (torch.arange(40) % 2 == 0).float()[None]
    kspace = torch.randn(1, 4, 40, 36, dtype=torch.complex64) * mask[:, None, :, None]
    with torch.no_grad():
        expected = network(kspace, maps, mask, 4, 2)
    model = load_model(model_file, sha256_of(model_file), "cpu")
    image, spread = model.forward(kspace, maps, mask, 4, 2)
    assert torch.allclose(image, expected[0], atol=1e-5 * float(expected[0].abs().max()))
    assert torch.allclose(spread, expected[1], atol=1e-4 * float(expected[0].abs().max()))

    half_file = tmp_path / "half.pt"
    convert(tmp_path / "run" / "checkpoint.pt", half_file, precision="bfloat16")
    half, _ = load_model(half_file, sha256_of(half_file), "cpu").forward(kspace, maps, mask, 4, 2)
    assert 0 < (half - image).norm() < 0.01 * image.norm()
    assert read_card(half_file).denoiser["precision"] == "bfloat16"
    with pytest.raises(ConfigurationError, match="bfloat16"):
        convert(tmp_path / "run" / "checkpoint.pt", half_file, precision="half")

    for value in network.parameters():
        value.data.fill_(torch.nan)
    with pytest.raises(ModelError, match="differs by nan"):
        export(network, {}, tmp_path / "nan.pt")
    assert not list(tmp_path.glob("nan.*"))

    card = read_card(model_file)
    assert card.denoiser["precision"] == "float32"
    assert card.metrics["psnr_db"] == 1.5
    assert card.metrics["val"]["subjects"] == ["two"]
    gain = card.metrics["val"]["psnr_db_network"] - card.metrics["val"]["psnr_db_cg_sense"]
    assert gain == pytest.approx(card.metrics["val"]["gain_over_cg_sense_db"]["mean"], abs=0.03)
    assert card.parameters == sum(value.numel() for value in network.parameters())
    assert [
        entry.model_dump() if hasattr(entry, "model_dump") else entry for entry in card.training_data
    ] == [{"name": "one", "licence": "CC0-1.0", "attribution": "maker of one"}]


def test_a_blend_lies_between_two_checkpoints_and_the_card_says_so(
    config: TrainingConfig, tmp_path: Path
) -> None:
    first = train(config, tmp_path / "a").averaged
    longer = config.model_copy(update={"stages": (*config.stages, config.stages[-1])})
    second = train(longer, tmp_path / "b").averaged
    ends = tmp_path / "a" / "checkpoint.pt", tmp_path / "b" / "checkpoint.pt"
    about = convert(ends[1], tmp_path / "m.safetensors", blend=Blend(ends[0], 0.25))
    network, read = load_network(tmp_path / "m.safetensors")
    assert read == about and about["blend"]["share"] == 0.25
    assert about["blend"]["stage"] == len(config.stages) - 1
    between = network.state_dict()
    assert any(not torch.equal(value, second[name]) for name, value in between.items())
    for name, value in between.items():
        assert torch.allclose(value, 0.25 * first[name] + 0.75 * second[name], atol=1e-6), name
    assert (
        convert(ends[1], tmp_path / "m.pt", blend=Blend(ends[0], 0.25))["training"]["blend"] == about["blend"]
    )
    assert read_card(tmp_path / "m.pt").name == config.name

    for share in (0.0, 1.0, -0.5):
        with pytest.raises(ConfigurationError, match="between 0 and 1"):
            Blend(ends[0], share)
    other = config.model_copy(update={"network": config.network.model_copy(update={"channels": (4, 6, 8)})})
    train(other, tmp_path / "c", stop_after=1)
    with pytest.raises(ConfigurationError, match="other weights"):
        convert(ends[1], tmp_path / "no.pt", blend=Blend(tmp_path / "c" / "checkpoint.pt", 0.5))
    assert not list(tmp_path.glob("no.*"))
