"""The target behind Gadgetron's C++ front end, and what that front end leaves different from the raw scan.

The MRD header still tells of the scan as it was acquired. RemoveROOversampling has shortened the readouts, which
shows in them; NoiseAdjust has whitened the coils, which does not: ``prewhitened_upstream`` in the configuration
says it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.items import NOISE, not_imaging, only_calibration

if TYPE_CHECKING:
    import gadgetron.external

    from smug_recon.gadgets.header.plan import Plan


def reconstruct_buffers(connection: gadgetron.external.Connection) -> None:
    """Reconstruct the scan that arrives in ReconData (1023), acquisition buckets (1050) or plain readouts."""
    from smug_recon.gadgets.wire.connection import session
    from smug_recon.gadgets.wire.spooled import spooled

    with spooled("reconstruct_buffers") as spool, session(connection) as host:
        from smug_recon.gadgets.flow.observer import observer_of_environment
        from smug_recon.gadgets.flow.timing import Report
        from smug_recon.gadgets.scan import prepare, run
        from smug_recon.gadgets.wire.buffers import MessageArrival, unpack
        from smug_recon.pipeline import pipeline_of

        spool.listen(host)
        pipeline, arrival = pipeline_of(host.config), MessageArrival()
        report = Report(observer_of_environment())
        spool.settled(pipeline, report)
        plan, model = report.call("prepare", prepare, host.header, pipeline, None)
        first, items = look_ahead(report.observer.arriving(unpack(host, arrival, report)))
        header = host.header
        if first is not None and oversampling_removed(first, plan):
            items = in_place(items, plan)
            header = as_shortened(header, plan)
        run(items, host.send, header, pipeline, model, report, arrival, host.halt)


def look_ahead(items: Iterable[Any]) -> tuple[ismrmrd.Acquisition | None, Iterator[Any]]:
    """Return the first line of the image, None if there is none, and all items, those before it included."""
    source, seen = iter(items), []
    for item in source:
        seen.append(item)
        if isinstance(item, ismrmrd.Acquisition) and _of_the_image(item):
            return item, itertools.chain(seen, source)
    return None, iter(seen)


def _of_the_image(readout: ismrmrd.Acquisition) -> bool:
    return not_imaging(readout) is None and not readout.flags & NOISE and not only_calibration(readout)


def oversampling_removed(readout: ismrmrd.Acquisition, plan: Plan) -> bool:
    """Whether a readout is of the shorter grid: the longer side of its echo ends where that grid ends."""
    if plan.readout_x >= plan.encoded_xyz[0]:
        return False
    samples, centre = int(readout.number_of_samples), int(readout.center_sample)
    if not 0 < centre < samples:
        centre = samples // 2
    return max(centre, samples - centre) <= plan.readout_x // 2 + 1


def as_shortened(header: ismrmrd.xsd.ismrmrdHeader, plan: Plan) -> ismrmrd.xsd.ismrmrdHeader:
    """Return the header of the scan without readout oversampling: matrix and field of view along x of the readouts."""
    made = copy.deepcopy(header)
    space = made.encoding[0].encodedSpace
    space.matrixSize.x = plan.readout_x
    space.fieldOfView_mm.x = plan.encoded_fov_mm[0] * plan.readout_x / plan.encoded_xyz[0]
    return made


def in_place(items: Iterable[Any], plan: Plan) -> Iterator[Any]:
    """Undo what RemoveROOversampling's rounding leaves behind where odd sizes are involved.

    It keeps ``(encoded - kept) // 2`` onwards, while the centre of either grid is voxel ``size // 2``: the image is
    moved back by the linear phase ``exp(2 pi i (j - centre) / kept)`` along the readout. And it rounds the centre
    sample of a full echo down, to one before the centre that its own transform has.
    """
    encoded, kept = plan.encoded_xyz[0], plan.readout_x
    shift = (encoded // 2 - kept // 2) - (encoded - kept) // 2
    for item in items:
        if isinstance(item, ismrmrd.Acquisition):
            head = ismrmrd.AcquisitionHeader.from_buffer_copy(item.getHead())
            if head.number_of_samples == kept and head.center_sample == kept // 2 - 1:
                head.center_sample += 1
            data_cx = item.data
            if shift:
                place_x = np.arange(head.number_of_samples) - float(head.center_sample)
                data_cx = data_cx * np.exp(2j * np.pi * shift * place_x / kept).astype(np.complex64)
            item = ismrmrd.Acquisition(head, data_cx, item.traj)
        yield item
