"""What the header's encoding limits say about the end of a slice; None where they say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import ismrmrd

from smug_recon.gadgets.header.plan import Plan


@dataclass(frozen=True)
class SliceEnd:
    """The last average and segment of a slice, and how many lines a fully sampled one without averages has."""

    last_average: int | None = None
    last_segment: int | None = None
    lines: int | None = None

    @classmethod
    def of(cls, header: ismrmrd.xsd.ismrmrdHeader, plan: Plan) -> SliceEnd:
        """Read it from the first encoding of the header."""
        limits = header.encoding[0].encodingLimits
        average = limits.average.maximum if limits and limits.average else None
        segment = limits.segment.maximum if limits and limits.segment else None
        step = limits.kspace_encoding_step_1 if limits else None
        lines = None
        if step is not None and average == 0 and not segment and plan.acceleration_y <= 1:
            lines = step.maximum - step.minimum + 1
        return cls(average, segment, lines if lines and lines > 1 else None)

    def final(self, head: ismrmrd.AcquisitionHeader) -> bool:
        """Whether a readout belongs to the last average and the last segment, as far as the header knows them."""
        idx = head.idx
        return self.last_average in (None, idx.average) and self.last_segment in (None, idx.segment)
