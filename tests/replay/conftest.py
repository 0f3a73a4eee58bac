"""Raw scans of arbitrary content, written by ismrmrd itself; the command over nodes of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from smug_recon.__main__ import main
from smug_recon.replay import checked, offline
from smug_recon.replay.results.images import open_dataset

NODES = Path(__file__).parent / "nodes"

HEADER = b"""<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <experimentalConditions><H1resonanceFrequency_Hz>63870000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>16</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>16</x><y>16</y><z>1</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>16</x><y>16</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>16</x><y>16</y><z>1</z></fieldOfView_mm></reconSpace>
  <encodingLimits/>
  <trajectory>cartesian</trajectory>
 </encoding>
</ismrmrdHeader>"""


def random_acquisition(
    rng: np.random.Generator, samples: int, channels: int, dimensions: int
) -> ismrmrd.Acquisition:
    """Every header field random, so that no field can be lost or swapped unseen."""
    head = ismrmrd.AcquisitionHeader.from_buffer_copy(rng.bytes(340))
    head.number_of_samples, head.active_channels, head.trajectory_dimensions = samples, channels, dimensions
    acquisition = ismrmrd.Acquisition(head)
    acquisition.data.view(np.float32)[:] = rng.standard_normal((channels, 2 * samples))
    acquisition.traj[:] = rng.standard_normal((samples, dimensions))
    return acquisition


def random_waveform(rng: np.random.Generator, samples: int, channels: int) -> ismrmrd.Waveform:
    data = rng.integers(0, 2**32, (channels, samples), dtype=np.uint32)
    return ismrmrd.Waveform.from_array(data, time_stamp=int(rng.integers(2**32)), waveform_id=3)


@pytest.fixture
def scan() -> Callable[..., list[ismrmrd.Acquisition | ismrmrd.Waveform]]:
    """``scan(sizes, waveforms, seed)``: acquisitions of (samples, channels, dimensions), then waveforms."""

    def make(sizes: Sequence[tuple[int, int, int]], waveforms: int = 0, seed: int = 0) -> list:
        rng = np.random.default_rng(seed)
        return [random_acquisition(rng, *size) for size in sizes] + [
            random_waveform(rng, 7, 2) for _ in range(waveforms)
        ]

    return make


@pytest.fixture
def write_hdf5(tmp_path: Path) -> Callable[..., Path]:
    """Write a scan with ``ismrmrd.Dataset``."""

    def write(items: Sequence, group: str = "dataset", name: str = "raw.h5", header: bytes = HEADER) -> Path:
        path = tmp_path / name
        with open_dataset(path, "a", group) as dataset:
            dataset.write_xml_header(header)
            for item in items:
                if isinstance(item, ismrmrd.Waveform):
                    dataset.append_waveform(item)
                else:
                    dataset.append_acquisition(item)
        return path

    return write


@pytest.fixture
def write_stream(tmp_path: Path) -> Callable[..., Path]:
    """Write a scan as ismrmrd_hdf5_to_stream does: id 3, the messages, id 4."""

    def write(items: Sequence, name: str = "raw.mrd", header: bytes = HEADER, close: bool = True) -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            file.write((3).to_bytes(2, "little") + len(header).to_bytes(4, "little") + header)
            for item in items:
                message_id = {ismrmrd.Acquisition: 1008, ismrmrd.Waveform: 1026, ismrmrd.Image: 1022}[
                    type(item)
                ]
                file.write(message_id.to_bytes(2, "little") + item.to_bytes())
            if close:
                file.write((4).to_bytes(2, "little"))
        return path

    return write


@pytest.fixture
def node(monkeypatch):
    """``node(target)`` lets replay run a node of replay_nodes instead of ours, without its checks."""

    def choose(target):
        monkeypatch.setenv("PYTHONPATH", str(NODES))
        monkeypatch.setattr(checked, "check", lambda *_: ())
        defaults = {**offline.replay.__kwdefaults__, "target": ("replay_nodes", target)}
        monkeypatch.setattr(offline.replay, "__kwdefaults__", defaults)

    return choose


@pytest.fixture
def command(monkeypatch, capsys):
    """``command(...)`` runs smug-recon replay and returns exit code, output and errors."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["smug-recon", "replay", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return run
