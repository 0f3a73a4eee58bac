"""The plan: what MRD header and pipeline file say about a scan, checked once, before the first readout."""

from __future__ import annotations

from dataclasses import dataclass, replace

import ismrmrd

from smug_recon.gadgets.header import encoding
from smug_recon.gadgets.header.partitions import Partitions, partitions
from smug_recon.gadgets.model.card import Card
from smug_recon.pipeline import Pipeline


@dataclass(frozen=True)
class Plan:
    """One scan, as the chain will treat it: sizes in samples, fields of view in mm, counters as how many."""

    pipeline: Pipeline
    encoded_xyz: tuple[int, int, int]
    recon_xyz: tuple[int, int, int]
    encoded_fov_mm: tuple[float, float, float]
    recon_fov_mm: tuple[float, float, float]
    readout_x: int
    """Samples kept after readout oversampling is removed: round(encoded_x * recon_fov_x / encoded_fov_x)."""
    lines_y: int
    """Lines of the encoded matrix; line ``k`` belongs in row ``k - centre_y + lines_y // 2``."""
    centre_y: int
    slab: Partitions
    """Partitions of a 3-D scan; one for 2-D."""
    slices: int
    contrasts: int
    phases: int
    repetitions: int
    sets: int
    averages: int
    segments: int
    acceleration_y: float
    calibration: str
    """As the header declares it: embedded, separate, external, interleaved, other, or none."""
    coils: int | None
    receiver_noise_bandwidth: float
    """relativeReceiverNoiseBandwidth of the header, 1.0 if absent; scales the noise variance."""
    warnings: tuple[str, ...]

    @property
    def image_yx(self) -> tuple[int, int]:
        """Rows and columns of the reconstruction before it is brought to the recon matrix."""
        return self.lines_y, self.readout_x

    @property
    def lines_z(self) -> int:
        """Partitions of the encoded matrix; partition ``k`` belongs in ``k - slab.centre + lines_z // 2``."""
        return self.slab.encoded


def build_plan(header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline, card: Card | None = None) -> Plan:
    """Read the plan from the MRD header; with a model's card, warn where the scan leaves its trained range.

    Raises HeaderError, with one clear message, for a scan that this chain cannot reconstruct.
    """
    notes: list[str] = []
    first = encoding.first_encoding(header, notes)
    encoding.check_trajectory(first)
    encoded_xyz, encoded_fov_mm = encoding.matrix_and_fov(first.encodedSpace, "encodedSpace")
    recon_xyz, recon_fov_mm = encoding.matrix_and_fov(first.reconSpace, "reconSpace")
    limits = first.encodingLimits
    slab = partitions((encoded_xyz, encoded_fov_mm), (recon_xyz, recon_fov_mm), limits, notes)
    encoded_xyz = (encoded_xyz[0], encoded_xyz[1], slab.encoded)
    recon_xyz = (recon_xyz[0], recon_xyz[1], slab.images)
    encoding.image_rows(encoded_xyz[1], encoded_fov_mm[1], recon_fov_mm[1])
    acceleration_y, calibration = encoding.acceleration(first.parallelImaging, notes)
    plan = Plan(
        pipeline=pipeline,
        encoded_xyz=encoded_xyz,
        recon_xyz=recon_xyz,
        encoded_fov_mm=encoded_fov_mm,
        recon_fov_mm=recon_fov_mm,
        readout_x=encoding.readout_samples(encoded_xyz[0], encoded_fov_mm[0], recon_fov_mm[0], notes),
        lines_y=encoded_xyz[1],
        centre_y=encoding.centre_line(limits, encoded_xyz[1], notes),
        slab=slab,
        slices=encoding.count(limits, "slice"),
        contrasts=encoding.count(limits, "contrast"),
        phases=encoding.count(limits, "phase"),
        repetitions=encoding.count(limits, "repetition"),
        sets=encoding.count(limits, "set"),
        averages=encoding.count(limits, "average"),
        segments=encoding.count(limits, "segment"),
        acceleration_y=acceleration_y,
        calibration=calibration,
        coils=encoding.coil_count(header),
        receiver_noise_bandwidth=encoding.noise_bandwidth(header, notes),
        warnings=(),
    )
    if card is not None:
        notes += card.outside_range(*plan.image_yx, plan.coils, plan.acceleration_y)
    return replace(plan, warnings=tuple(notes))
