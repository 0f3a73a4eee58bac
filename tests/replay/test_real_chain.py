"""The node that ships, behind the real protocol: the pixels are those of the chain in one process."""

from __future__ import annotations

import ismrmrd
import numpy as np
import pytest

from smug_recon.gadgets.model.file import sha256_of
from smug_recon.gadgets.scan import run
from smug_recon.pipeline import load_pipeline
from smug_recon.replay import open_raw, read_items, replay
from smug_recon.replay.messages.header import parse_header
from smug_recon.replay.results.images import read_images


def test_a_stream_through_the_node_gives_the_pixels_of_the_file_in_one_process(shared_data, tmp_path):
    model = load_pipeline().model_path
    if not model.is_file():
        pytest.skip("no model file: train and export one into pipelines/models/")
    overrides = {"model.sha256": sha256_of(model), "device": "cpu", "samples": "2", "seed": "3"}
    raw = shared_data / "brain8ch_R4.h5"
    with open_raw(raw) as source, (tmp_path / "raw.mrd").open("wb") as stream:
        header, xml = parse_header(source.header_xml)
        stream.write((3).to_bytes(2, "little") + len(xml).to_bytes(4, "little") + xml)
        for block in source.blocks():
            stream.write(block.payload)
        stream.write((4).to_bytes(2, "little"))
    sent: list = []
    run(read_items(raw), sent.append, header, load_pipeline().with_overrides(overrides))
    expected = [item for item in sent if isinstance(item, ismrmrd.Image)]

    result = replay(tmp_path / "raw.mrd", tmp_path / "out", overrides=overrides)
    images = list(read_images(result.images, "images_1"))
    assert len(images) == len(expected) == 1 and result.acquisitions == 45
    np.testing.assert_array_equal(images[0].data, expected[0].data)
    assert images[0].meta["SeriesDescription"] == expected[0].meta["SeriesDescription"]
    assert len(result.dicom) == len(result.previews) == 1
    assert {stage["name"] for stage in result.timing["stages"]} >= {"network", "coil maps"}
