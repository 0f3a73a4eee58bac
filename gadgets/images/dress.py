"""Dressing: the pixels of a reconstruction get their MRD image header; the Meta attributes are in
``attributes.py``.

Rows of the image are phase-encode lines (y), columns readout samples (x): data ``[channel, z, y, x]``,
``matrix_size`` (x, y, z). The geometry is that of the readout nearest to the k-space centre; the field of
view is that of the recon space.

A 3-D slab leaves as one image for every partition: ``matrix_size`` z is 1, ``slice`` counts partitions (slab after
slab), field of view z is that of a partition, and ``position`` is its centre along ``slice_dir``, so that the images
are a stack of slices for every reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.items import Reconstruction, SliceKey
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.images.attributes import TIMING, attributes, seconds_text
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.solve.unroll import CG_SENSE, SMUG, UNCERTAINTY

#: image_series_index of each role; DICOM series and ISMRMRD image groups are told apart by it
SERIES_INDEX = {SMUG: 1, CG_SENSE: 2, UNCERTAINTY: 3}


def dress(
    items: Iterable[Any], plan: Plan, model: Model, title: str = "", report: Report | None = None
) -> Iterator[Any]:
    """Turn every scaled reconstruction into an ``ismrmrd.Image`` with header and Meta; foreign items pass.

    ``title`` is the series description of the scan; with a report every image tells the seconds that the stages have
    taken since the image before it.
    """
    used: dict[str, set[int]] = {}
    for item in items:
        if isinstance(item, Reconstruction):
            index = image_index(item.key, plan, used.setdefault(item.role, set()), item.partition)
            if report is not None and report.announced:
                item.notes = [*item.notes, *report.announced]
            image = dressed(item, index, plan, model, title)
            if report is not None:
                image.meta[TIMING] = seconds_text(report.lap())
            yield image
        else:
            yield item


def dressed(item: Reconstruction, index: int, plan: Plan, model: Model, title: str = "") -> ismrmrd.Image:
    """Return one image with its header and attributes."""
    pixels_yx = item.pixels_yx
    assert pixels_yx is not None
    image = ismrmrd.Image(head=_head(item, index, pixels_yx, plan))
    image.data[:] = pixels_yx[None, None]
    image.meta = attributes(item, plan, model, title)
    return image


def image_index(key: SliceKey, plan: Plan, used: set[int], partition: int = 0) -> int:
    """Return the number of an image in its series, from 1.

    Partitions run fastest, then slices, contrasts, phases, sets, repetitions. A counter beyond the limits of the
    header gets the next free number.
    """
    index = ((key.repetition * plan.sets + key.set) * plan.phases + key.phase) * plan.contrasts + key.contrast
    index = (index * plan.slices + key.slice) * plan.slab.images + partition + 1
    if index in used or index > 65535:
        index = next((free for free in range(1, 65536) if free not in used), 0)
    used.add(index)
    return index


def partition_centre_mm(
    head: ismrmrd.AcquisitionHeader, partition: int, partitions: int, depth_mm: float
) -> Any:
    """Return the centre of a partition, ``position + (p - (n - 1) / 2) d`` along the slab normal."""
    normal = np.asarray(head.slice_dir, float)
    if not normal.any():
        normal = np.cross(np.asarray(head.read_dir, float), np.asarray(head.phase_dir, float))
    if not normal.any():
        normal = np.array([0.0, 0.0, 1.0])
    offset_mm = (partition - (partitions - 1) / 2) * depth_mm / partitions
    return tuple(np.asarray(head.position, float) + offset_mm * normal / np.linalg.norm(normal))


def _head(item: Reconstruction, index: int, pixels_yx: np.ndarray, plan: Plan) -> ismrmrd.ImageHeader:
    line, key = item.head, item.key
    rows, columns = pixels_yx.shape
    head = ismrmrd.ImageHeader()
    head.version = 1
    head.data_type = ismrmrd.image.get_data_type_from_dtype(pixels_yx.dtype)
    head.measurement_uid = line.measurement_uid
    head.matrix_size = (columns, rows, 1)
    head.field_of_view = plan.recon_fov_mm
    head.channels = 1
    for name in (
        "position",
        "read_dir",
        "phase_dir",
        "slice_dir",
        "patient_table_position",
        "physiology_time_stamp",
    ):
        setattr(head, name, getattr(line, name))
    head.slice, head.contrast, head.phase = key.slice, key.contrast, key.phase
    if item.partitions > 1:
        depth_mm = plan.slab.depth_mm
        head.slice = key.slice * item.partitions + item.partition
        head.position = partition_centre_mm(line, item.partition, item.partitions, depth_mm)
        head.field_of_view = (*plan.recon_fov_mm[:2], depth_mm / item.partitions)
    head.repetition, head.set, head.average = key.repetition, key.set, 0
    head.acquisition_time_stamp = line.acquisition_time_stamp
    complex_pixels = np.iscomplexobj(pixels_yx)
    head.image_type = ismrmrd.IMTYPE_COMPLEX if complex_pixels else ismrmrd.IMTYPE_MAGNITUDE
    head.image_index = index
    head.image_series_index = SERIES_INDEX[item.role]
    head.user_int, head.user_float = line.user_int, line.user_float
    return head
