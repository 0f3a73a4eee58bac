"""Dressing: the pixels of a reconstruction get their MRD image header; the Meta attributes are in
``attributes.py``.

Rows of the image are phase-encode lines (y), columns readout samples (x): data ``[channel, z, y, x]``,
``matrix_size`` (x, y, z). The geometry is that of the readout nearest to the k-space centre; the field of
view is that of the recon space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.attributes import attributes
from smug_recon.gadgets.items import Reconstruction, SliceKey
from smug_recon.gadgets.model import Model
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.unroll import CG_SENSE, SMUG

#: image_series_index of each role; DICOM series and ISMRMRD image groups are told apart by it
SERIES_INDEX = {SMUG: 1, CG_SENSE: 2}


def dress(items: Iterable[Any], plan: Plan, model: Model, title: str = "") -> Iterator[Any]:
    """Turn every scaled reconstruction into an ``ismrmrd.Image`` with header and Meta; foreign items pass.

    ``title`` is the series description of the scan.
    """
    used: dict[str, set[int]] = {}
    for item in items:
        if isinstance(item, Reconstruction):
            index = image_index(item.key, plan, used.setdefault(item.role, set()))
            yield dressed(item, index, plan, model, title)
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


def image_index(key: SliceKey, plan: Plan, used: set[int]) -> int:
    """Return the number of an image in its series, from 1: slices first, then contrasts, phases, sets,
    repetitions.

    A counter beyond the limits of the header gets the next free number.
    """
    index = ((key.repetition * plan.sets + key.set) * plan.phases + key.phase) * plan.contrasts + key.contrast
    index = index * plan.slices + key.slice + 1
    if index in used or index > 65535:
        index = next(free for free in range(1, 65536) if free not in used)
    used.add(index)
    return index


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
    head.repetition, head.set, head.average = key.repetition, key.set, 0
    head.acquisition_time_stamp = line.acquisition_time_stamp
    complex_pixels = np.iscomplexobj(pixels_yx)
    head.image_type = ismrmrd.IMTYPE_COMPLEX if complex_pixels else ismrmrd.IMTYPE_MAGNITUDE
    head.image_index = index
    head.image_series_index = SERIES_INDEX[item.role]
    head.user_int, head.user_float = line.user_int, line.user_float
    return head
