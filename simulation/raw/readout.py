"""The acquisition header of a simulated readout."""

from __future__ import annotations

import ismrmrd
import ismrmrd.hdf5
import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.protocol.dwell import dwell_us
from smug_recon.simulation.protocol.geometry import Stack
from smug_recon.simulation.protocol.layout import Layout
from smug_recon.simulation.protocol.schedule import IMAGING, REFERENCE_SCAN, Line
from smug_recon.simulation.protocol.settings import ScanSettings

NOISE_SAMPLES = 512
TICK_MS = 2.5
START_TICKS = 14_400_000  # 10 o'clock


def acquisition_header(
    line: Line, counter: int, samples: int, centre: int, settings: ScanSettings, layout: Layout, place: Stack
) -> NDArray[np.void]:
    """Return the header of a readout of ``samples`` samples with its k-space centre at ``centre``, as a
    structured scalar.
    """
    head = np.zeros((), ismrmrd.hdf5.acquisition_header_dtype)
    head["version"] = 1
    head["flags"] = sum(1 << (number - 1) for number in line.flags)
    head["measurement_uid"] = settings.seed % 2**32
    head["scan_counter"] = counter
    head["acquisition_time_stamp"] = START_TICKS + round(line.time_ms / TICK_MS)
    head["number_of_samples"], head["center_sample"] = samples, centre
    head["available_channels"] = head["active_channels"] = settings.coils
    head["channel_mask"] = [(1 << min(max(settings.coils - 64 * word, 0), 64)) - 1 for word in range(16)]
    head["sample_time_us"] = dwell_us(settings, line.kind)
    where = layout.partitions_z // 2 if settings.three_dimensional else line.slice_number
    head["position"] = place.positions_mm[where]
    head["read_dir"], head["phase_dir"], head["slice_dir"] = place.read_dir, place.phase_dir, place.slice_dir
    if line.kind == IMAGING:
        head["discard_pre"], head["discard_post"] = settings.discard
        if line.reverse:
            head["flags"] |= np.uint64(1 << (ismrmrd.ACQ_IS_REVERSE - 1))
    head["encoding_space_ref"] = int(line.kind == REFERENCE_SCAN)
    index = head["idx"]
    index["kspace_encode_step_1"], index["kspace_encode_step_2"] = line.step, line.partition
    index["slice"], index["average"], index["segment"] = line.slice_number, line.average, line.segment
    for name in ("contrast", "phase", "repetition", "set"):
        index[name] = getattr(line.state, name)
    return head
