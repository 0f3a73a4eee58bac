"""Model files that are hostile, swapped or cut: nothing of them is run, and the answer is one ModelError in any case."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from failing import written
from small_card import CARD

from smug_recon.errors import ModelError
from smug_recon.gadgets.model import file as model_file
from smug_recon.gadgets.model.file import LARGEST_CARD, load_model, read_card


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(path: Path, sha256: str) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(path, sha256, "cpu")
    return str(caught.value)


def a_pickle(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(Bomb(mark)))


def a_checkpoint(path: Path, mark: Path) -> None:
    torch.save({"weights": Bomb(mark)}, path)


def a_script_with_a_pickle(path: Path, mark: Path) -> None:
    """A model file with card, whose data are a pickle of ours."""
    source, _ = written(path.parent, "nan")
    content = io.BytesIO(source.read_bytes())
    with zipfile.ZipFile(content) as archive, zipfile.ZipFile(path, "w") as made:
        for name in archive.namelist():
            hostile = name.endswith("/data.pkl")
            made.writestr(name, pickle.dumps(Bomb(mark), 2) if hostile else archive.read(name))


HOSTILE = [a_pickle, a_checkpoint, a_script_with_a_pickle]


@pytest.mark.parametrize("make", HOSTILE)
def test_nothing_is_unpickled_with_the_wrong_hash_nor_with_the_right_one(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mark = tmp_path / "hostile.pt", tmp_path / "mark"
    make(path, mark)
    assert refused(path, digest(path))
    assert not mark.exists()
    for module, name in ((torch.jit, "load"), (torch, "load"), (zipfile, "ZipFile"), (pickle, "loads")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("opened a file with another hash"))
    assert "SHA-256" in refused(path, "0" * 64)
    assert not mark.exists()


def test_the_bomb_works(tmp_path: Path) -> None:
    """Or the test before would prove nothing."""
    path, mark = tmp_path / "hostile.pt", tmp_path / "mark"
    a_checkpoint(path, mark)
    torch.load(path, weights_only=False)
    assert mark.exists()


def test_a_file_swapped_between_check_and_loading_is_not_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, sha256 = written(tmp_path, "nan")
    read, mark = model_file._content, tmp_path / "mark"

    def read_and_swap(where: Path) -> bytes:
        content = read(where)
        a_pickle(path, mark)
        return content

    monkeypatch.setattr(model_file, "_content", read_and_swap)
    model = load_model(path, sha256, "cpu")
    kspace = torch.ones(1, 2, 8, 8, dtype=torch.complex64)
    assert model.sha256 == sha256 and model.forward(kspace, kspace, torch.ones(1, 8), 0, 2)[0].shape == (
        1,
        8,
        8,
    )
    assert digest(path) != sha256 and not mark.exists()


def test_a_file_cut_anywhere_is_refused_even_with_the_hash_of_what_is_left(tmp_path: Path) -> None:
    source, _ = written(tmp_path, "nan")
    whole, path = source.read_bytes(), tmp_path / "cut.pt"
    for part in range(40):
        path.write_bytes(whole[: len(whole) * part // 40])
        assert "cut short" in refused(path, "0" * 64)
        assert "no whole TorchScript file" in refused(path, digest(path))


def test_a_card_that_unpacks_to_more_than_it_may_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    card = json.dumps({**CARD, "note": " " * (64 * LARGEST_CARD)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny/extra/card.json", card)
    assert path.stat().st_size < LARGEST_CARD
    for attempt in (lambda: read_card(path), lambda: load_model(path, digest(path), "cpu")):
        with pytest.raises(ModelError, match="a card larger than"):
            attempt()


@pytest.mark.skipif(sys.platform == "win32", reason="needs mkfifo")
def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe without a writer is read for ever, a device without an end until the memory is full."""
    pipe = tmp_path / "pipe.pt"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        assert "no file" in refused(path, "0" * 64)
