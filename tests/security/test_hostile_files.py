"""Files and texts that want to run something or to fill the memory: refused in words, nothing of them is run."""

from __future__ import annotations

import io
import os
import pickle
import resource
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
import torch

from smug_recon.errors import ConfigurationError, HeaderError, ModelError, SmugReconError, StreamError
from smug_recon.gadgets.model.file import load_model, read_card, sha256_of
from smug_recon.gadgets.wire.xml import DEEPEST, parse
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.messages.header import parse_header

LEVELS = 12
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">'
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, LEVELS))
    + f"]><ismrmrdHeader><a>&e{LEVELS - 1};</a></ismrmrdHeader>"
)
EXTERNAL = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><ismrmrdHeader>&x;</ismrmrdHeader>'
QUADRATIC = f'<!DOCTYPE a [<!ENTITY q "{"q" * 50000}">]><ismrmrdHeader>{"&q;" * 5000}</ismrmrdHeader>'


class Runs:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("text", [BOMB, EXTERNAL, QUADRATIC], ids=["laughs", "external", "quadratic"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-16", "utf-16-le"])
def test_entities_are_refused_before_they_grow(text: str, coding: str) -> None:
    xml = text.replace("<?xml", f'<?xml encoding="{coding}"', 0).encode(coding)
    with pytest.raises(StreamError, match="entities"):
        parse(xml, "a configuration")
    with pytest.raises(HeaderError, match="entities"):
        parse_header(xml)


def test_image_attributes_with_entities_are_passed_on_unread() -> None:
    from smug_recon.gadgets.wire.readers import _parse_attributes

    assert dict(_parse_attributes(BOMB.replace("ismrmrdHeader", "ismrmrdMeta").encode())) == {}
    plain = b"<ismrmrdMeta><meta><name>a</name><value>b</value></meta></ismrmrdMeta>"
    assert dict(_parse_attributes(plain)) == {"a": "b"}


def test_nesting_without_end_is_refused() -> None:
    deep = b"<a>" * (DEEPEST + 1)
    with pytest.raises(StreamError, match="nested"):
        parse(deep, "a configuration")
    with pytest.raises(HeaderError, match="nested"):
        parse_header(b"<ismrmrdHeader>" + b"<a>" * 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [{path}]",
        "model: !!python/object/new:os.mkdir [{path}]",
        "? !!python/name:os.system\n: 1",
        "date: 2001-99-99",
        "[" * 3000,
        "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nmodel: [*c,*c,*c,*c]",
    ],
)
def test_a_pipeline_file_makes_settings_and_nothing_else(text: str, tmp_path: Path) -> None:
    made, file = tmp_path / "made", tmp_path / "p.yaml"
    file.write_text(text.replace("{path}", str(made)))
    with pytest.raises(ConfigurationError):
        load_pipeline(file)
    assert not made.exists()


def test_a_model_without_the_hash_of_the_pipeline_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("model: {file: m.pt}\n")
    with pytest.raises(ConfigurationError, match=r"model\.sha256"):  # a pipeline without a hash is none
        load_pipeline(file)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("TorchScript was opened"))
    shipped = load_pipeline()
    with pytest.raises(ModelError, match="SHA-256"):
        load_model(shipped.model_path, "0" * 64, "cpu")
    assert len(sha256_of(shipped.model_path)) == 64 and read_card(shipped.model_path).name  # read, not run


def test_a_pickle_in_the_place_of_a_model_or_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    from smug_recon.training.checkpoint import checkpoint_config, load_checkpoint
    from smug_recon.training.weights import load_network

    made, file = tmp_path / "made", tmp_path / "checkpoint.pt"
    plain = pickle.dumps({"state": Runs(made), "config": "{}"})
    torch.save({"state": Runs(made), "config": "{}"}, file)
    for content in (plain, file.read_bytes(), b"", b"PK\x03\x04"):
        file.write_bytes(content)
        for read in (load_checkpoint, checkpoint_config, load_network, read_card):
            with pytest.raises(SmugReconError):
                read(file)
        with pytest.raises(ModelError):
            load_model(file, sha256_of(file), "cpu")
    assert not made.exists()
    pickle.loads(plain)
    assert made.exists()  # the file does what is said of it


def test_a_card_that_is_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(content := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/extra/card.json", b" " * (1 << 26))
    file = tmp_path / "m.pt"
    file.write_bytes(content.getvalue())
    assert file.stat().st_size < 1 << 17
    with pytest.raises(ModelError, match="card larger"):
        read_card(file)


def test_lying_lengths_cost_no_memory() -> None:
    """With 1 GiB of address space beyond what the imports took, claims of terabytes are refused, not tried."""
    code = """
        import io, resource, struct, sys
        from smug_recon.errors import SmugReconError
        from smug_recon.replay.reading.mrdstream import StreamRaw
        import numpy, ismrmrd
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), -1))
        header = struct.pack("<HI", 3, 5) + b"<a/>\\0"
        head = bytearray(340)
        head[34:36] = head[38:40] = b"\\xff\\xff"
        for lie in (
            struct.pack("<HHHHQ", 1030, 8, 0, 1, 1 << 60),
            struct.pack("<HHHHQQ", 1030, 8, 0, 2, 1 << 40, 1 << 40),
            struct.pack("<H", 1008) + bytes(head),
            struct.pack("<HI", 5, 0xFFFFFFFF),
        ):
            try:
                with StreamRaw(io.BytesIO(header + lie + bytes(1000)), "lie") as raw:
                    list(raw.blocks())
                sys.exit("not refused")
            except SmugReconError:
                pass
        print("refused")
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=200
    )
    assert ran.stdout == "refused\n", ran.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 0


def test_tables_that_claim_more_than_was_stored_are_refused(tmp_path: Path) -> None:
    import h5py
    from ismrmrd.hdf5 import acquisition_dtype

    from smug_recon.replay.reading.heads import read_heads

    path = tmp_path / "claims.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        group["xml"] = "<ismrmrdHeader/>"
        group.create_dataset("data", shape=(1 << 40,), dtype=acquisition_dtype, chunks=(1,))
    with pytest.raises(SmugReconError, match="stored"):
        read_heads(path)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH: Python 3.11")
def test_code_that_lies_where_the_command_is_called_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of downloads: what replay starts as processes of their own does not import from it."""
    import h5py

    from smug_recon.replay.hdf5.watched import examine
    from smug_recon.replay.host.node import Node

    for name in ("numpy", "h5py", "gadgetron", "ismrmrd", "smug_recon"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()")
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["values"] = 1.0
    monkeypatch.chdir(tmp_path)
    examine("file.h5")
    with Node(tmp_path / "node.log", "json", "loads"):
        pass
    assert not (tmp_path / "mark").exists()
