"""The noise scan of a stream: taken out of it, and the whitening matrix W made of it, with W C W^H = I.

Noise readouts are taken out of the stream; the covariance C is formed from all of them, in the order of their
scan counters, when the first slice is complete.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import ismrmrd
import numpy as np
import torch
from torch import Tensor

from smug_recon.calibration import noise_covariance, noise_scale, whitening_matrix
from smug_recon.errors import DataError
from smug_recon.gadgets.flow.items import NOISE
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import Plan

log = logging.getLogger(__name__)


class _Silent(Report):
    def warn(self, text: str) -> None:
        """Say nothing: what is to be said will be said when it counts."""


class NoiseScan:
    """The noise readouts of a stream, and the whitening matrix once it is asked for."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._readouts: list[ismrmrd.Acquisition] = []
        self._whitening_cc: Tensor | None = None
        self._dwell_us = 0.0
        self._closed = self._settled = False
        self._lock = threading.Lock()

    def collect(self, items: Iterable[Any]) -> Iterator[Any]:
        """Take the noise readouts out of the stream and pass everything else on."""
        for item in items:
            if not isinstance(item, ismrmrd.Acquisition) or not item.flags & NOISE:
                yield item
            elif self._closed or self._settled:
                self.report.warn("noise readouts after the first complete slice are not used")
            else:
                self._readouts.append(item)

    def settle(self, plan: Plan) -> None:
        """A slice is complete: it is whitened with what has arrived, later noise readouts come too late. DataError."""
        if plan.pipeline.prewhitened_upstream:
            self.refuse()
        elif plan.pipeline.prewhitening:
            self._closed = True

    def whitening(self, coils: int) -> Tensor | None:
        """Return ``whitening_cc`` of the noise scan, or None where there was no usable one.

        Raises:
            DataError: the noise scan has another number of coils, or several dwell times.
        """
        with self._lock:
            if not self._settled:
                self._settled = True
                self._settle()
        if self._whitening_cc is None:
            return None
        if self._whitening_cc.shape[0] != coils:
            raise DataError(
                f"a noise scan of {self._whitening_cc.shape[0]} coils and imaging lines of {coils}",
                "the same coils in both",
                "use the noise scan of this measurement, or set prewhitening: false in the pipeline",
            )
        return self._whitening_cc

    @property
    def count(self) -> int:
        """Noise readouts that wait to be used."""
        return len(self._readouts)

    def preview(self) -> NoiseScan:
        """The noise scan as far as it has arrived, settled apart from this one; nothing of it is said."""
        found = NoiseScan(_Silent())
        with self._lock:
            found._readouts, found._settled = list(self._readouts), self._settled
            found._whitening_cc, found._dwell_us = self._whitening_cc, self._dwell_us
        return found

    def refuse(self) -> None:
        """Raise DataError where noise readouts have arrived although the coils are said to be white already."""
        if self._readouts:
            raise DataError(
                f"{len(self._readouts)} noise readouts, although the coils are said to be prewhitened upstream",
                "no noise scan behind NoiseAdjustGadget",
                "set prewhitened_upstream: false, or put NoiseAdjustGadget before this node",
            )

    def scale(self, dwell_us: float, bandwidth: float) -> float:
        """Return the factor between the noise scan and lines of ``dwell_us``; 1 where a dwell time is unknown."""
        if not (dwell_us > 0 and self._dwell_us > 0):
            self.report.warn(
                "sample_time_us is not filled in: noise scan and lines are taken as equally noisy"
            )
            return 1.0
        return noise_scale(self._dwell_us, dwell_us, bandwidth)

    def _settle(self) -> None:
        finite = [readout for readout in self._readouts if _finite(readout.data)]
        if bad := len(self._readouts) - len(finite):
            self._readouts = finite
            self.report.warn(
                f"{bad} noise readout{'s' * (bad > 1)} with samples that are NaN or infinite: left out"
            )
        if not self._readouts:
            self.report.warn("no noise scan in the stream: the coils are not prewhitened")
            return
        self._dwell_us = common_dwell_us(
            [(int(r.active_channels), float(r.sample_time_us)) for r in self._readouts]
        )
        ordered = _as_acquired(self._readouts)
        readouts_cn = [torch.from_numpy(noise_samples(r, self._dwell_us)) for r in ordered]
        self._readouts = []
        coils, count = readouts_cn[0].shape[0], sum(readout_cn.shape[1] for readout_cn in readouts_cn)
        if count < 2 * coils:
            self.report.warn(
                f"the noise scan has {count} samples for {coils} coils, too few: no prewhitening"
            )
            return
        covariance_cc = noise_covariance(readouts_cn)
        if not bool(covariance_cc.any()):
            self.report.warn("the noise scan holds nothing but zeros: no prewhitening")
            return
        self.report.observer.noise(covariance_cc, count, self._dwell_us)
        self._whitening_cc = whitening_matrix(covariance_cc).to(torch.complex64)
        log.info("noise scan: %d samples of %d coils, dwell time %.3f us", count, coils, self._dwell_us)


def _as_acquired(readouts: list[ismrmrd.Acquisition]) -> list[ismrmrd.Acquisition]:
    """Sort by scan counter; by their bytes where a converter left counters equal."""
    same = Counter(int(readout.scan_counter) for readout in readouts)
    return sorted(
        readouts,
        key=lambda r: (
            int(r.scan_counter),
            np.asarray(r.data).tobytes() if same[int(r.scan_counter)] > 1 else b"",
        ),
    )


def _finite(data_cx: np.ndarray) -> bool:
    """Whether all samples are; a sum of squares, which is one pass, says so where it is finite itself."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.vdot(data_cx, data_cx))) or bool(np.isfinite(data_cx).all())


def common_dwell_us(readouts: Iterable[tuple[int, float]]) -> float:
    """Return the dwell time that the samples of a noise scan are brought to: the longest of its readouts.

    Args:
        readouts: receive channels and dwell time in us of each.

    Raises:
        DataError: readouts of different coils, or different dwell times of which one is unknown.
    """
    found = {(coils, round(dwell_us, 6)) for coils, dwell_us in readouts}
    dwells = {dwell_us for _, dwell_us in found}
    if len({coils for coils, _ in found}) > 1 or (len(dwells) > 1 and min(dwells) <= 0):
        raise DataError(
            f"noise readouts of (coils, dwell time in us) {sorted(found)}",
            "one noise scan of one receive configuration",
            "remove the noise readouts of the other measurement",
        )
    return max(dwells)


def noise_samples(readout: ismrmrd.Acquisition, dwell_us: float) -> np.ndarray:
    """Return the valid samples (c, n), as noisy as samples of ``dwell_us``: the variance goes with 1 / dwell."""
    first, last = int(readout.discard_pre), int(readout.number_of_samples) - int(readout.discard_post)
    samples_cn = np.asarray(readout.data, np.complex64)[:, first : max(first, last)]
    own_us = round(float(readout.sample_time_us), 6)
    return samples_cn if own_us == dwell_us else samples_cn * np.float32((own_us / dwell_us) ** 0.5)
