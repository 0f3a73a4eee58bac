"""The model file: loaded when hash and card fit, refused with one clear message otherwise."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_card import CARD
from torch import Tensor

from smug_recon.errors import ConfigurationError, ModelError
from smug_recon.gadgets.model.card import FORMAT
from smug_recon.gadgets.model.device import choose_device
from smug_recon.gadgets.model.file import load_model, read_card, sha256_of
from smug_recon.pipeline import load_pipeline


class Tiny(torch.nn.Module):
    """Coil combination of the transformed lines: the shapes of a model without its weights."""

    def forward(
        self, kspace_bcyx: Tensor, maps_bcyx: Tensor, mask: Tensor, seed: int, samples: int
    ) -> tuple[Tensor, Tensor]:
        images = torch.fft.ifft(kspace_bcyx * mask[:, None, :, None], dim=2)
        image_byx = (maps_bcyx.conj() * images).sum(1)
        return image_byx, torch.zeros_like(image_byx.real) + float(seed) * 0.0 + float(samples) * 0.0


class OneArgument(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


Writer = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a scripted module with some extra files; the tiny model with its card unless told otherwise."""

    def writer(extra: dict[str, bytes] | None = None, module: torch.nn.Module | None = None) -> Path:
        path = tmp_path / "tiny.pt"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            scripted = torch.jit.script(module or Tiny())
            files = {"card.json": json.dumps(CARD).encode()} if extra is None else extra
            torch.jit.save(scripted, str(path), _extra_files=files)
        return path

    return writer


def with_card(**changes: Any) -> dict[str, bytes]:
    card = {name: value for name, value in {**CARD, **changes}.items() if value is not None}
    return {"card.json": json.dumps(card).encode()}


def refused(path: Path, sha256: str | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path, sha256 or sha256_of(path), "cpu")
    assert caught.value.found and caught.value.expected and caught.value.remedy
    return str(caught.value)


def test_a_model_that_fits_is_loaded_and_runs(write: Writer) -> None:
    path = write()
    model = load_model(path, sha256_of(path).upper(), "cpu")
    assert (model.card.name, model.sha256, model.device.type) == ("tiny", sha256_of(path), "cpu")
    kspace_bcyx = torch.randn(2, 3, 8, 10, dtype=torch.complex64)
    image_byx, spread_byx = model.forward(kspace_bcyx, torch.ones_like(kspace_bcyx), torch.ones(2, 8), 7, 2)
    assert (image_byx.shape, image_byx.dtype) == ((2, 8, 10), torch.complex64)
    assert (spread_byx.shape, spread_byx.dtype) == ((2, 8, 10), torch.float32)
    assert model.warm_up(3, 8, 10, 2) > 0
    again, _ = model.forward(kspace_bcyx, torch.ones_like(kspace_bcyx), torch.ones(2, 8), 7, 2)
    assert torch.equal(image_byx, again)


def test_the_card_keeps_what_it_does_not_know(write: Writer) -> None:
    card = read_card(write(with_card(note="more")))
    assert card.lam == 1.0
    assert card.model_dump(by_alias=True)["note"] == "more"
    assert card.model_dump(by_alias=True)["lambda"] == 1.0


def test_the_shipped_model_fits_the_shipped_pipeline() -> None:
    pipeline = load_pipeline()
    assert sha256_of(pipeline.model_path) == pipeline.model.sha256
    assert read_card(pipeline.model_path).format == FORMAT


def test_the_trainer_writes_the_format_that_is_read() -> None:
    from smug_recon.training.export import FORMAT as written

    assert written == FORMAT


def test_another_hash_is_refused_before_anything_is_run(
    write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("loaded a file with another hash"))
    said = refused(write(), "0" * 64)
    assert "SHA-256" in said and "0" * 64 in said and "smug-recon model" in said


def test_a_wrong_card_is_refused_before_anything_is_run(
    write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("loaded a file with a wrong card"))
    assert "model format 'smug-recon-model/2'" in refused(write(with_card(format="smug-recon-model/2")))
    assert "model format None" in refused(write(with_card(format=None)))
    assert "steps" in refused(write(with_card(steps=None)))
    assert "sigma" in refused(write(with_card(sigma=-1)))
    reversed_range = {**CARD["trained_range"], "coils": [8, 1]}
    assert "a range from 8 to 1" in refused(write(with_card(trained_range=reversed_range)))
    assert "no card" in refused(write({}))
    assert "no JSON" in refused(write({"card.json": b"not json"}))
    assert "model format None" in refused(write({"card.json": b"[1]"}))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_that_is_cut_short_is_refused(write: Writer, share: float) -> None:
    path = write()
    whole, content = sha256_of(path), path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cut short" in refused(path, whole)
    assert "no whole TorchScript file" in refused(path)


def test_a_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pointer.pt"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "Git LFS pointer" in refused(path, "1" * 64)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no readable model file" in refused(tmp_path / "absent.pt", "1" * 64)
    assert "no readable model file" in refused(tmp_path, "1" * 64)


def test_another_forward_is_refused(write: Writer) -> None:
    said = refused(write(module=OneArgument()))
    assert "forward(x)" in said and "kspace_bcyx" in said


def test_a_card_in_a_file_without_torchscript_is_refused(tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "card_only.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/extra/card.json", json.dumps(CARD))
    assert "cannot load" in refused(path)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigurationError, match="no GPU"):
        choose_device("cuda")
    with pytest.raises(ConfigurationError, match="auto, cpu or cuda"):
        choose_device("tpu")
