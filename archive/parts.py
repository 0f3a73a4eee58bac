"""A large scan in parts: each makes the complex images of its own slices, one task puts them together.

    part k:  the whole raw file ──▶ all slices ──▶ its own through the network ──▶ complex images, unscaled
    join:    the whole raw file ──▶ all slices ──▶ the images of the parts in their place ──▶ scale ──▶ dress ──▶ host

What is of the whole scan (noise, reference lines, virtual coils, the factor of a series) is found by the same stages over the
same readouts as in one piece, so the images are bit for bit the same. Slices that take their coil maps from an earlier
repetition stay with it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ismrmrd
import numpy as np

from smug_recon.archive.kept import Models
from smug_recon.errors import DataError

if TYPE_CHECKING:
    from smug_recon.gadgets.flow.items import Reconstruction, Slice
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.header.plan import Plan
    from smug_recon.gadgets.model.guard import Guarded
    from smug_recon.gadgets.stream import Solve

PLAIN = (
    *(
        "role",
        "coils",
        "lines",
        "sampled_lines",
        "whitened",
        "fallback",
        "method",
        "reason",
        "has_phase",
        "device",
    ),
    *("notes", "partition", "partitions", "kept_back", "of_lines"),
)
"""What is said of an image as plain data; key, head, pixels and the rows of partial Fourier beside it."""
COUNTED = ("fallback_reasons", "fallback_kinds")


@dataclass
class Units:
    """Numbers the slices of a scan by what must stay together: the coil maps of an earlier repetition tie slices to it."""

    plan: Plan
    _numbers: dict[Any, int] = field(default_factory=dict)
    _own: dict[Any, int] = field(default_factory=dict)
    _slices: int = 0

    def unit(self, item: Slice) -> int:
        """The number of the unit that the next slice of the stream belongs to."""
        from smug_recon.gadgets.maps.block_maps import centre_block

        self._slices += 1
        where: Any = self._slices
        if self.plan.repetitions > 1:
            position = (item.key.slice, item.partition, item.left_out)
            self._own[position] = self._own.get(position, 0) + (centre_block(item, self.plan) is not None)
            where = (position, self._own[position])
        return self._numbers.setdefault(where, len(self._numbers))


def make_part(request: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """Make part ``request["part"]`` of ``request["parts"]`` and write it to ``request["out"]``/part.npz.

    Raises:
        DataError: a 3-D slab, which is not split; coil maps that failed. And any other error of ``errors.py``.
    """
    from smug_recon.gadgets.flow.items import Slice
    from smug_recon.gadgets.flow.timing import Report
    from smug_recon.gadgets.header.units import correct_units
    from smug_recon.gadgets.model.absent import model_of
    from smug_recon.gadgets.model.guard import Guarded
    from smug_recon.gadgets.readouts.slice_partitions import put_right
    from smug_recon.gadgets.scan import prepare
    from smug_recon.gadgets.stream import before_the_network, through_the_network
    from smug_recon.pipeline import pipeline_of
    from smug_recon.replay import open_raw
    from smug_recon.replay.checked import checked_scan
    from smug_recon.replay.host.configuration import configuration_element
    from smug_recon.replay.messages.header import for_the_node, parse_header
    from smug_recon.replay.messages.wire import items as items_of

    configuration = configuration_element(request["pipeline"], request["overrides"])
    pipeline, report, number = pipeline_of(configuration), Report(), -1
    with open_raw(request["raw"]) as source:
        scan = checked_scan(source, request["raw"], None, None, configuration, models.load)
        header, _ = correct_units(parse_header(for_the_node(scan.header, scan.header_xml))[0])
        plan, model = prepare(header, pipeline, model_of(pipeline, models.load))
        items, plan, header = put_right(items_of(scan.blocks), plan, header, report)
        if plan.lines_z > 1:
            raise DataError("a 3-D slab", "slices", "it is reconstructed in one piece")
        network, units = Guarded.of(model, report), Units(plan)

        def own(stream: Iterable[Any]) -> Iterator[Any]:
            nonlocal number
            for item in stream:
                if isinstance(item, Slice):
                    number += 1
                    if units.unit(item) % int(request["parts"]) == int(request["part"]):
                        yield item
                        if item.no_maps:  # the maps of later slices may come from elsewhere then
                            raise DataError(item.no_maps, "coil maps", "it is reconstructed in one piece")

        stream = before_the_network(items, plan, network, header, report)
        made = [
            (number, image)
            for image in through_the_network(own(stream), plan, network, report)
            if _is_image(image)
        ]
    (Path(request["out"]) / "part.npz").write_bytes(packed(made, number + 1, report))
    return {"slices": number + 1}


def packed(made: list[tuple[int, Reconstruction]], slices: int, report: Report) -> bytes:
    """Images with the numbers of their slices, as an uncompressed npz: arrays and JSON, nothing that runs."""
    arrays: dict[str, np.ndarray] = {}
    about = []
    for place, (number, image) in enumerate(made):
        arrays[f"pixels{place}"] = image.image_yx.numpy()
        arrays[f"head{place}"] = np.frombuffer(bytes(image.head), np.uint8)
        plain = {name: getattr(image, name) for name in PLAIN}
        about.append({"slice": number, "key": list(image.key), "partial_y": image.partial_y, **plain})
    account = report.as_dict()
    said = {name: account[name] for name in ("warnings", "fallbacks", *COUNTED)}
    text = json.dumps({"slices": slices, "images": about, "report": said})
    file = io.BytesIO()
    np.savez(file, about=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return file.getvalue()


@dataclass
class Parts:
    """The images of all parts, by slice, and what they have to say."""

    slices: int
    images: dict[int, list[Reconstruction]]
    reports: list[dict[str, Any]]

    @property
    def solve(self) -> Solve:
        """Gives the images of each slice in its place; DataError for a scan with other slices."""
        from smug_recon.gadgets.flow.items import Slice

        def solved(stream: Iterable[Any], plan: Plan, network: Guarded, report: Report) -> Iterator[Any]:
            for said in self.reports:
                for text in said["warnings"]:
                    report.warn(text)
                report.fallbacks += said["fallbacks"]
                for name in COUNTED:
                    counts = getattr(report, name)
                    for reason, count in said[name].items():
                        counts[reason] = counts.get(reason, 0) + count
            number = 0
            for item in stream:
                if isinstance(item, Slice):
                    if number not in self.images or self.images[number][0].key != item.key:
                        raise DataError(
                            f"slice {number} in no part", "the slices of the parts", "run it again"
                        )
                    yield from self.images[number]
                    number += 1
                else:
                    yield item

        return solved


def read_parts(paths: Iterable[str | Path]) -> Parts:
    """Read what the parts have written; DataError unless every slice is in one of them."""
    images: dict[int, list[Reconstruction]] = {}
    reports, counts = [], set()
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            for place, said in enumerate(about["images"]):
                image = _image(said, arrays[f"head{place}"], arrays[f"pixels{place}"])
                images.setdefault(int(said["slice"]), []).append(image)
        counts.add(int(about["slices"]))
        reports.append(about["report"])
    if len(counts) != 1 or set(images) != set(range(*counts)) or not images:
        raise DataError(
            f"parts with {len(images)} of {max(counts, default=0)} slices", "all slices", "run it again"
        )
    return Parts(counts.pop(), images, reports)


def _image(said: Mapping[str, Any], head: np.ndarray, pixels_yx: np.ndarray) -> Reconstruction:
    import torch

    from smug_recon.gadgets.flow.items import Reconstruction, SliceKey

    partial_y = said["partial_y"]
    return Reconstruction(
        key=SliceKey(*said["key"]),
        head=ismrmrd.AcquisitionHeader.from_buffer_copy(head.tobytes()),
        image_yx=torch.from_numpy(pixels_yx),
        partial_y=None if partial_y is None else (int(partial_y[0]), int(partial_y[1])),
        **{name: said[name] for name in PLAIN},
    )


def _is_image(item: Any) -> bool:
    from smug_recon.gadgets.flow.items import Reconstruction

    return isinstance(item, Reconstruction)
