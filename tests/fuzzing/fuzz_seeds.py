"""The seed corpus, made from simulated scans and the shipped files: ``python tests/fuzzing/fuzz_seeds.py`` writes it anew."""

from __future__ import annotations

import copy
import io
import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
from fuzz_scans import SCANS, base
from fuzz_tables import HEADER
from gadgetron.types import acquisition_bucket as buckets
from gadgetron.types import recon_data
from gadgetron.types.image_array import ImageArray

from smug_recon.gadgets.model.file import read_card
from smug_recon.gadgets.wire import writers
from smug_recon.pipeline import load_pipeline, shipped_folder
from smug_recon.replay.messages import wire

CORPUS = Path(__file__).parent / "corpus"


class Written:
    """What a writer of the product puts on the wire."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: Any) -> None:
        self.parts.append(bytes(data))


def written(writer: Any, item: Any) -> bytes:
    into = Written()
    writer(into, item)
    return b"".join(into.parts)


def acquisitions(count: int, which: int = 0) -> list[ismrmrd.Acquisition]:
    """The last readouts of a tiny scan, cut to four samples."""
    made = []
    for head, samples in base(which)[1][-count:]:
        item = ismrmrd.Acquisition.from_array(np.ascontiguousarray(samples[:, :4]))
        for name, value in (("scan_counter", 1), ("sample_time_us", 5.0)):
            setattr(item, name, value)
        item.idx.kspace_encode_step_1 = ismrmrd.AcquisitionHeader.from_buffer_copy(
            head
        ).idx.kspace_encode_step_1
        made.append(item)
    return made


def image(kind: Any) -> ismrmrd.Image:
    made = ismrmrd.Image.from_array(np.arange(12).reshape(3, 4).astype(kind))
    made.meta = ismrmrd.Meta({"DataRole": ["Image", "A"], "ImageComment": "seed"})
    return made


def waveform() -> ismrmrd.Waveform:
    return ismrmrd.Waveform.from_array(np.arange(6, dtype=np.uint32).reshape(2, 3))


def messages() -> list[bytes]:
    """One message of every kind."""
    lines = acquisitions(2)
    headers = np.empty((1, 1, 1), dtype=object)
    headers[0, 0, 0] = image(np.uint16).getHead()
    images = ImageArray(np.ones((2, 2, 1, 1, 1, 1, 1), np.complex64), headers, ["<a/>"], [waveform()], None)
    heads = np.empty((1,), dtype=object)
    heads[0] = lines[0].getHead()
    buffer = recon_data.ReconBuffer(
        np.ones((2, 2), np.complex64), None, np.ones(2, np.float32), heads, recon_data.SamplingDescription()
    )
    recon = recon_data.ReconData([recon_data.ReconBit(buffer, copy.copy(buffer))])
    return [
        *(written(writers.write_acquisition, line) for line in lines),
        written(writers.write_waveform, waveform()),
        *(written(writers.write_image, image(kind)) for kind in (np.uint16, np.float32, np.complex64)),
        written(writers.write_image_array, images),
        written(writers.write_recon_data, recon),
        struct.pack("<H", 1050) + bucket(lines),
        wire.text_message(wire.TEXT, b"words"),
        struct.pack("<HQ", 8, 5) + b"words",
    ]


def bucket(lines: list[ismrmrd.Acquisition]) -> bytes:
    sizes, wave = buckets.bucket_meta(), waveform()
    sizes.data.count, sizes.waveforms.count = len(lines), 1
    statistics = b"".join(struct.pack("<QH", 1, 3) for _ in range(9))
    made = bytes(sizes) + b"".join(bytes(line.getHead()) for line in lines)
    made += b"".join(line.data.tobytes() for line in lines)
    made += struct.pack("<Q", 1) + statistics + struct.pack("<Q", 0)
    return made + bytes(wave.getHead()) + wave.data.tobytes()


PROPERTIES = (
    b'<configuration><property name="images.type" value="float32"/><property><name>seed</name><value>3</value>'
    b"</property></configuration>"
)
SCRIPT = (
    b'<?xml version="1.0"?><configuration><version>2</version><readers/><writers/><stream><external>'
    b'<execute name="smug_recon.gadgets" target="reconstruct" type="python"/>'
    b"%s</external></stream></configuration>" % PROPERTIES
)


def openings() -> list[bytes]:
    xml = HEADER.encode()
    head, nul_head = wire.text_message(3, xml), wire.text_message(3, xml + b"\0")
    chosen = json.dumps({"parameters": {"config": "smug-cartesian", "images": {"type": "float32"}}}).encode()
    return [
        struct.pack("<H1024s", 1, b"smug-cartesian") + nul_head + wire.text_message(5, chosen + b"\0"),
        struct.pack("<H1024s", 1, b"Generic_Cartesian_SMUG.xml") + head + struct.pack("<H", 4),
        wire.text_message(2, SCRIPT) + head + struct.pack("<H", 4),
        wire.text_message(2, SCRIPT + b"\0") + nul_head + struct.pack("<H", 4),
        wire.text_message(2, PROPERTIES) + head,
        wire.text_message(2, b'<?xml version="1.0"?>') + head,
        wire.text_message(2, chosen + b"\0") + nul_head + struct.pack("<H", 4),
    ]


def hdf5_files() -> dict[str, bytes]:
    """The smallest raw files, in the file format without checksums, which would undo every change."""
    from ismrmrd.hdf5 import acquisition_dtype, waveform_dtype

    made: dict[str, bytes] = {}
    with h5py.File(content := io.BytesIO(), "w", libver=("earliest", "v108")) as file:
        group = file.create_group("dataset")
        group.create_dataset("xml", shape=(1,), dtype=h5py.special_dtype(vlen=bytes))[0] = HEADER.encode()
        rows = np.empty(2, acquisition_dtype)
        for number, line in enumerate(acquisitions(2)):
            rows["head"][number] = np.frombuffer(bytes(line.getHead()), acquisition_dtype["head"])[0]
            rows["traj"][number] = np.zeros(0, np.float32)
            rows["data"][number] = line.data.view(np.float32).ravel()
        group.create_dataset("data", data=rows, maxshape=(None,), chunks=(1,))
        waves = np.empty(1, waveform_dtype)
        waves["head"][0] = np.frombuffer(bytes(waveform().getHead()), waveform_dtype["head"])[0]
        waves["data"][0] = waveform().data.ravel()
        group.create_dataset("waveforms", data=waves)
    made["ismrmrd"] = content.getvalue()
    with h5py.File(content := io.BytesIO(), "w", libver=("earliest", "v108")) as file:
        file.create_dataset("kspace", data=np.ones((1, 2, 8, 8), np.complex64))
        file.create_dataset("mask", data=np.ones(8, np.float32))
        file.create_dataset("ismrmrd_header", data=HEADER)
    made["fastmri"] = content.getvalue()
    return made


def model_file() -> bytes:
    """A zip with the card of the shipped model and nothing to run."""
    text = read_card(load_pipeline().model_path).model_dump_json(by_alias=True)
    with zipfile.ZipFile(content := io.BytesIO(), "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("m/extra/card.json"), text)
    return content.getvalue()


def seeds() -> dict[str, dict[str, bytes]]:
    """Name and bytes of every seed, by target."""
    each = messages()
    close = struct.pack("<H", 4)
    xml_head = wire.text_message(3, HEADER.encode())
    yaml = (shipped_folder() / "smug-cartesian.yaml").read_bytes()
    yaml = re.sub(
        rb'sha256: "[0-9a-f]{64}"', b'sha256: "' + b"0" * 64 + b'"', yaml
    )  # a new model is no new seed
    overrides = b"\0images.type=float32\nsamples=4\nimages.uncertainty=true\ncoil_maps.kernel=5\ncoil_compression.method=svd"
    return {
        "wire": {f"message-{n}": b"\4" + one + close for n, one in enumerate(each)}
        | {"all": b"\2" + b"".join(each) + close},
        "handshake": {"properties": wire.text_message(2, PROPERTIES) + xml_head},
        "opening": {f"host-{n}": one for n, one in enumerate(openings())},
        "header": {"tiny": HEADER.encode()} | {f"scan-{n}": base(n)[0].encode() for n in (0, 2, 4)},
        "pipeline": {
            "shipped": yaml + overrides,
            "aliases": b"model: &m {file: a.pt, sha256: " + b"0" * 64 + b"}\nb: *m\n",
        },
        "mrdstream": {
            "scan": wire.text_message(2, b"x") + xml_head + b"".join(each[:6]) + close,
            "array": xml_head + struct.pack("<HHHHQ", 1030, 5, 0, 1, 2) + b"\0" * 8 + each[0] + close,
        },
        "spool": {"all": wire.text_message(2, b"x") + xml_head + b"".join(each[:9]) + close},
        "hdf5": hdf5_files(),
        "tables": {
            "ismrmrd": b"\0\0\0\0\2\2\1",
            "fastmri": b"\1\0\0\2\1\2\0\0",
            "waves": b"\0\0\0\0\0\1\0\2\2\1",
        },
        "card": {"card": model_file()},
        "chain": {f"scan-{n}": bytes([n]) + bytes(8) for n in range(len(SCANS))},
    }


def main() -> None:
    """Write the seeds that are not there; what a fuzzer has found stays."""
    for target, files in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"seed-{name}").write_bytes(content)


if __name__ == "__main__":
    main()
