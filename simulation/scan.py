"""A raw scan of the synthetic head, as a scanner would send it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smug_recon.simulation.protocol.dwell import dwell_us
from smug_recon.simulation.protocol.dynamics import State, states
from smug_recon.simulation.protocol.geometry import stack
from smug_recon.simulation.protocol.layout import Layout
from smug_recon.simulation.protocol.masks_zy import sampling_mask_zy
from smug_recon.simulation.protocol.schedule import (
    EXTRA,
    NOISE,
    REFERENCE_SCAN,
    Line,
    calibration_positions,
    schedule,
)
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.raw.header import BANDWIDTH, WHOLE, mrd_header
from smug_recon.simulation.raw.readout import NOISE_SAMPLES, acquisition_header
from smug_recon.simulation.receiver.kspace import KSpace
from smug_recon.simulation.receiver.noise import correlated_noise, covariance_for_snr
from smug_recon.simulation.receiver.scene import Scene
from smug_recon.simulation.truth.answers import fill_truth
from smug_recon.simulation.truth.truth import Allocate, Truth

Readout = tuple[NDArray[np.void], NDArray[np.complex64]]
NOISE_LOCATIONS = 16  # slices or partitions from which the level of the noise is found, at most
NOISE_VALUES = 2**25  # coil sensitivities looked at for that; of larger scans some pixels are left out
EXTRA_GAIN = np.float32(3)  # readouts that carry no image line are bright, so that one mixed in shows


class Scanner:
    """A scan about to be acquired: ``xml`` is its header, ``readouts`` acquires it, ``fill_truth`` tells the
    truth.

    The head is rendered over twice the readout field of view, weighted with the coil sensitivities,
    transformed with the centred orthonormal transform, sampled, and correlated noise is added. The noise scan
    has a dwell time of its own: its covariance is that of the scan times ``dwell / noise_dwell *
    relativeReceiverNoiseBandwidth``. One repetition at a time is transformed, and kept on disk when it is
    large.
    """

    def __init__(self, settings: ScanSettings) -> None:
        self.settings, self.layout = settings, Layout.of(settings)
        slab, layout = settings.three_dimensional, self.layout
        self.place = stack(
            settings.orientation,
            settings.matrix_xy,
            layout.partitions_z if slab else settings.slices,
            settings.thickness_mm if slab else settings.spacing_mm,
            fov=settings.fov,
            slab=slab,
        )
        self.scene = Scene(settings, layout, self.place)
        self.mask_zy = self._mask()
        self._covariance_cc = self._noise()
        self._live = np.ones(settings.coils, bool)
        self._live[list(settings.dead_coils)] = False
        self._block = calibration_positions(settings, layout)

    @property
    def xml(self) -> str:
        """The MRD header."""
        return self.header()

    def header(self, part: str = WHOLE) -> str:
        """Return the MRD header of the whole scan, or of its part where the noise scan is one of its own."""
        return mrd_header(self.settings, self.layout, self.place, part)

    def readouts(self) -> Iterator[Readout]:
        """Acquire: yield the header and the samples (coil, sample) of every readout in their order."""
        rng = np.random.default_rng([self.settings.seed, 5])
        reference = self._reference_kspace() if self.settings.calibration == "external" else None
        kspace, repetition = self._kspace(0), 0
        try:
            for counter, line in enumerate(schedule(self.settings, self.layout, self.mask_zy), 1):
                if line.state.repetition != repetition:
                    kspace.close()
                    repetition = line.state.repetition
                    kspace = self._kspace(repetition)
                samples, centre = self._samples(line, kspace, reference, rng)
                yield (
                    acquisition_header(
                        line, counter, samples.shape[1], centre, self.settings, self.layout, self.place
                    ),
                    samples,
                )
        finally:
            kspace.close()
            if reference is not None:
                reference.close()

    def fill_truth(self, allocate: Allocate) -> None:
        """Fill the arrays of the truth; ``allocate`` makes room for each."""
        seen = np.outer(self._live, self._live)
        mask_zy = np.zeros((self.layout.partitions_z, self.layout.lines_y), bool)
        mask_zy[:, self.layout.left_out_y :] = self.mask_zy
        noise_cc = self._covariance_of(NOISE)
        fill_truth(self.scene, mask_zy, self._covariance_cc * seen, noise_cc * seen, allocate)

    def _mask(self) -> NDArray[np.bool_]:
        settings, layout = self.settings, self.layout
        inside = settings.calibration in ("embedded", "unflagged")
        return sampling_mask_zy(
            (layout.partitions_z, layout.acquired_y),
            (layout.partitions_z // 2, layout.centre_y),
            settings.acceleration,
            (layout.acs_z, settings.acs) if inside else (0, 0),
            np.random.default_rng([settings.seed, 4]),
            settings.pattern,
        )

    def _noise(self) -> NDArray[np.complex128]:
        """Return the noise covariance of an imaging sample, from the pixels in the head of some locations."""
        scene = self.scene
        count = min(scene.locations, NOISE_LOCATIONS)
        every = 1 + count * scene.maps(0).size // NOISE_VALUES
        maps, signal = [], []
        for location in np.linspace(0, scene.locations - 1, count).round().astype(int):
            within = np.flatnonzero(scene.inside(location) > 0.5)[::every]
            maps_cn = scene.maps(location).reshape(self.settings.coils, -1)[:, within]
            maps.append(maps_cn)
            signal.append(maps_cn * scene.image(location, State()).ravel()[within])
        return covariance_for_snr(
            np.concatenate(maps, axis=1),
            np.concatenate(signal, axis=1),
            self.settings.snr,
            np.random.default_rng([self.settings.seed, 3]),
        )

    def _covariance_of(self, kind: str) -> NDArray[np.complex128]:
        """Return the noise covariance in the samples of a kind of readout."""
        ratio = dwell_us(self.settings) / dwell_us(self.settings, kind)
        return self._covariance_cc * (ratio * BANDWIDTH if kind == NOISE else ratio)

    def _kspace(self, repetition: int) -> KSpace:
        """Transform all images of a repetition."""
        settings, layout, scene = self.settings, self.layout, self.scene
        rows: NDArray[np.bool_] = np.asarray(self.mask_zy.any(0))
        rows[[layout.centre_y, *(y for _, y in self._block)]] = True
        found = KSpace(
            settings.coils, layout.width_x, np.flatnonzero(rows) + layout.left_out_y, layout.partitions_z
        )
        for number, state in enumerate(states(settings, repetition)):
            for slice_number in range(settings.slices if layout.partitions_z == 1 else 1):
                places = range(scene.locations) if settings.three_dimensional else [slice_number]
                coils = (scene.coil_images(place, scene.image(place, state)) for place in places)
                found.fill(number * settings.slices + slice_number, coils)
        return found

    def _reference_kspace(self) -> KSpace:
        """Transform what the external reference scan sees: the centre of its k-space."""
        settings, layout, scene = self.settings, self.layout, self.scene
        rows = np.array(sorted({y for _, y in self._block})) + layout.left_out_y
        found = KSpace(settings.coils, layout.reference_x, rows, layout.partitions_z)
        for slice_number in range(settings.slices if layout.partitions_z == 1 else 1):
            places = range(scene.locations) if settings.three_dimensional else [slice_number]
            found.fill(slice_number, (scene.coil_images(at, scene.reference(at)) for at in places))
        return found

    def _samples(
        self, line: Line, kspace: KSpace, reference: KSpace | None, rng: np.random.Generator
    ) -> tuple[NDArray[np.complex64], int]:
        """Return the samples (coil, sample) of a readout and the index of its k-space centre."""
        settings, layout = self.settings, self.layout
        covariance_cc = self._covariance_of(line.kind)
        if line.kind == NOISE:
            samples = correlated_noise(covariance_cc, NOISE_SAMPLES, rng)
            return self._recorded(samples), NOISE_SAMPLES // 2
        if line.kind == REFERENCE_SCAN:
            assert reference is not None
            z, y = self._block[0]
            signal_cx = reference.line(
                line.slice_number, line.step + y + layout.left_out_y, line.partition + z
            )
            centre = layout.reference_x // 2
        else:
            signal_cx = kspace.line(self._image_number(line), line.step + layout.left_out_y, line.partition)
            signal_cx, centre = signal_cx[:, layout.left_out_x :], layout.centre_x
        if line.kind == EXTRA:
            signal_cx, centre = self._extra(line, signal_cx, centre)
        samples = signal_cx + correlated_noise(covariance_cc, signal_cx.shape[-1], rng)
        if line.reverse:
            samples, centre = samples[:, ::-1], samples.shape[1] - 1 - centre
        before, after = settings.discard
        if before + after and line.kind not in (REFERENCE_SCAN, EXTRA):
            ramp = np.full((settings.coils, before + after), 2 * np.abs(samples).max(), np.complex64)
            samples = np.concatenate([ramp[:, :before], samples, ramp[:, before:]], axis=1)
            centre += before
        return self._recorded(samples), centre

    def _recorded(self, samples: NDArray[np.complex64]) -> NDArray[np.complex64]:
        return samples if self._live.all() else samples * self._live[:, None].astype(np.float32)

    def _image_number(self, line: Line) -> int:
        settings, state = self.settings, line.state
        number = (state.set * settings.phases + state.phase) * settings.contrasts + state.contrast
        return number * settings.slices + line.slice_number

    @staticmethod
    def _extra(
        line: Line, signal_cx: NDArray[np.complex64], centre: int
    ) -> tuple[NDArray[np.complex64], int]:
        """Return what a readout without image line records; navigators are half as long."""
        if line.is_navigator:
            half = 2 * (min(centre, signal_cx.shape[1] - centre) // 2)
            return EXTRA_GAIN * signal_cx[:, centre - half // 2 : centre + half // 2], half // 2
        return EXTRA_GAIN * signal_cx, centre


def simulate_scan(settings: ScanSettings) -> RawScan:
    """Simulate a raw scan in memory; equal settings give equal scans."""
    scanner = Scanner(settings)
    heads, samples = zip(*scanner.readouts(), strict=True)
    arrays: dict[str, Any] = {}

    def allocate(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        return arrays.setdefault(name, np.zeros(shape, dtype))

    scanner.fill_truth(allocate)
    return RawScan(scanner.xml, np.stack(heads), list(samples), Truth(**arrays))
