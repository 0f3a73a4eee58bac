"""A raw scan of the synthetic head, as a scanner would send it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import ismrmrd
import ismrmrd.hdf5
import numpy as np
import torch
from numpy.typing import NDArray

from smug_recon.physics import fft_centred
from smug_recon.simulation.coils import head_array, unit_norm
from smug_recon.simulation.geometry import Stack, stack
from smug_recon.simulation.head import Head
from smug_recon.simulation.masks import sampling_mask
from smug_recon.simulation.mrdheader import BANDWIDTH, mrd_header
from smug_recon.simulation.noise import array_covariance, correlated_noise
from smug_recon.simulation.raw import RawScan
from smug_recon.simulation.render import render_slice
from smug_recon.simulation.settings import ScanSettings
from smug_recon.simulation.tissue import CONTRASTS
from smug_recon.simulation.truth import Truth

DWELL_US = 5.0  # of a readout with twofold oversampling
NOISE_DWELL_US = 6.5
NOISE_READOUTS, NOISE_SAMPLES = 32, 512
ARRAY_UNIT_MM = 280.0  # the unit in which the array is placed around the head
TICK_MS = 2.5
START_TICKS = 14_400_000  # 10 o'clock


@dataclass(frozen=True)
class _Line:
    """One readout to come: phase encode step, slice, flags, or a noise readout when ``step`` is -1."""

    step: int
    slice_number: int
    flags: tuple[int, ...]
    time_ms: float


def _flags(*numbers: int) -> int:
    return sum(1 << (number - 1) for number in numbers)


def _order(settings: ScanSettings) -> Iterator[list[int]]:
    """Yield groups of slices that take turns line by line: even numbers first, as scanners do against cross-
    talk.
    """
    turn = [*range(0, settings.slices, 2), *range(1, settings.slices, 2)]
    if settings.interleaved:
        yield turn
    else:
        yield from ([number] for number in range(settings.slices))


def _calibration_steps(settings: ScanSettings) -> NDArray[np.int64]:
    lines = settings.matrix_xy[1]
    start = min(max(lines // 2 - settings.acs // 2, 0), lines - settings.acs)
    return np.arange(start, start + settings.acs)


def _schedule(settings: ScanSettings, mask_y: NDArray[np.bool_], tr_ms: float) -> Iterator[_Line]:
    """Yield every readout of the scan in the order of acquisition."""
    if settings.noise_scan:
        for number in range(NOISE_READOUTS):
            yield _Line(-1, 0, (ismrmrd.ACQ_IS_NOISE_MEASUREMENT,), 20.0 * number)
    time_ms = 1000.0
    calibration = set(_calibration_steps(settings).tolist())
    passes: list[tuple[list[int], bool]] = [(np.flatnonzero(mask_y).tolist(), True)]
    if settings.calibration == "separate" and settings.acs:
        passes.insert(0, (sorted(calibration), False))
    for steps, imaging in passes:
        for group in _order(settings):
            for step in steps:
                for turn, number in enumerate(group):
                    flags = []
                    if not imaging:
                        flags.append(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
                    elif (
                        settings.calibration == "embedded"
                        and settings.acceleration > 1
                        and step in calibration
                    ):
                        flags.append(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
                    if imaging and step == steps[0]:
                        flags += [ismrmrd.ACQ_FIRST_IN_ENCODE_STEP1, ismrmrd.ACQ_FIRST_IN_SLICE]
                    if imaging and step == steps[-1]:
                        flags += [ismrmrd.ACQ_LAST_IN_ENCODE_STEP1, ismrmrd.ACQ_LAST_IN_SLICE]
                    yield _Line(step, number, tuple(flags), time_ms + tr_ms * turn / len(group))
                time_ms += tr_ms


def _head_of(
    line: _Line, counter: int, settings: ScanSettings, place: Stack, dwell_us: float
) -> NDArray[np.void]:
    noise = line.step < 0
    head = np.zeros((), ismrmrd.hdf5.acquisition_header_dtype)
    head["version"] = 1
    head["flags"] = _flags(*line.flags)
    head["measurement_uid"] = settings.seed % 2**32
    head["scan_counter"] = counter
    head["acquisition_time_stamp"] = START_TICKS + round(line.time_ms / TICK_MS)
    samples = NOISE_SAMPLES if noise else settings.matrix_xy[0] * settings.oversampling
    head["number_of_samples"], head["center_sample"] = samples, samples // 2
    head["available_channels"] = head["active_channels"] = settings.coils
    head["channel_mask"] = [(1 << min(max(settings.coils - 64 * word, 0), 64)) - 1 for word in range(16)]
    head["sample_time_us"] = NOISE_DWELL_US if noise else dwell_us
    head["position"] = place.positions_mm[line.slice_number]
    head["read_dir"], head["phase_dir"], head["slice_dir"] = place.read_dir, place.phase_dir, place.slice_dir
    head["idx"]["kspace_encode_step_1"], head["idx"]["slice"] = max(line.step, 0), line.slice_number
    return head


def _coil_images(settings: ScanSettings, place: Stack, dwell_us: float) -> tuple[NDArray, NDArray, NDArray]:
    """Return magnetisation (s, y, x), sensitivities (s, c, y, x), head share (s, y, x) over the field of view
    of two readouts.
    """
    shape_yx = (settings.matrix_xy[1], 2 * settings.matrix_xy[0])
    head, contrast = Head(settings.seed), CONTRASTS[settings.contrast]
    readout_s = dwell_us * 1e-6 * settings.matrix_xy[0] * settings.oversampling
    rings = 2 if settings.coils < 12 else 3  # so that slices of any orientation can be accelerated
    images, maps, inside = [], [], []
    for number in range(settings.slices):
        rng = np.random.default_rng([settings.seed, 1, number])
        image, share = render_slice(
            head, place, number, shape_yx, contrast, settings.thickness_mm, readout_s, rng
        )
        points = place.points_mm(number, shape_yx, 1.0, 0.0).T.reshape(3, *shape_yx).astype(np.float64)
        points -= np.array([0.0, 16.0, 10.0]).reshape(3, 1, 1)
        images.append(image)
        inside.append(share)
        array_rng = np.random.default_rng([settings.seed, 2])
        maps.append(head_array(points / ARRAY_UNIT_MM, settings.coils, array_rng, rings=rings))
    stacked = np.stack(maps)
    stacked /= np.sqrt((np.abs(stacked) ** 2).sum(1))[np.stack(inside) > 0.5].mean()
    return np.stack(images), stacked, np.stack(inside)


def _noise(
    settings: ScanSettings, coil_scyx: NDArray, maps_scyx: NDArray, inside_syx: NDArray
) -> NDArray[np.complex128]:
    """Return the noise covariance of one imaging sample that gives the wanted signal-to-noise ratio."""
    within = np.moveaxis(maps_scyx, 1, 0)[:, inside_syx > 0.5][:, ::7]
    covariance_cc = array_covariance(within, np.random.default_rng([settings.seed, 3]))
    if math.isinf(settings.snr):
        return np.zeros_like(covariance_cc)
    signal_cn = np.moveaxis(coil_scyx, 1, 0)[:, inside_syx > 0.5].astype(np.complex128)
    square_n = (signal_cn.conj() * np.linalg.solve(covariance_cc, signal_cn)).sum(0).real
    return covariance_cc * (np.sqrt(2 * square_n).mean() / settings.snr) ** 2


def _middle(array: NDArray, width: int) -> NDArray:
    start = array.shape[-1] // 2 - width // 2
    return array[..., start : start + width]


def simulate_scan(settings: ScanSettings) -> RawScan:
    """Simulate a raw scan; equal settings give equal scans.

    The head is rendered over twice the readout field of view, weighted with the coil sensitivities,
    transformed with the centred orthonormal transform, sampled, and correlated noise is added. The noise scan
    has a dwell time of its own: its covariance is that of the scan times ``dwell / noise_dwell *
        relativeReceiverNoiseBandwidth``.
    """
    place = stack(settings.orientation, settings.matrix_xy, settings.slices, settings.spacing_mm)
    dwell_us = DWELL_US * 2 / settings.oversampling
    image_syx, maps_scyx, inside_syx = _coil_images(settings, place, dwell_us)
    width = settings.matrix_xy[0]
    if settings.oversampling == 1:
        image_syx, maps_scyx, inside_syx = (
            _middle(array, width) for array in (image_syx, maps_scyx, inside_syx)
        )
    coil_scyx = maps_scyx * image_syx[:, None]
    covariance_cc = _noise(settings, coil_scyx, maps_scyx, inside_syx)
    kspace_scyx = fft_centred(torch.from_numpy(coil_scyx), [2, 3]).numpy()
    acs = settings.acs if settings.calibration in ("embedded", "unflagged") else 0
    mask_y = sampling_mask(
        settings.matrix_xy[1],
        settings.acceleration,
        acs,
        np.random.default_rng([settings.seed, 4]),
        pattern=settings.pattern,
    )
    noise_rng = np.random.default_rng([settings.seed, 5])
    noise_covariance_cc = covariance_cc * (dwell_us / NOISE_DWELL_US * BANDWIDTH)
    lines = list(_schedule(settings, mask_y, CONTRASTS[settings.contrast].tr_ms))
    last = lines[-1]
    lines[-1] = _Line(
        last.step,
        last.slice_number,
        (*last.flags, ismrmrd.ACQ_LAST_IN_REPETITION, ismrmrd.ACQ_LAST_IN_MEASUREMENT),
        last.time_ms,
    )
    heads, samples = np.zeros(len(lines), ismrmrd.hdf5.acquisition_header_dtype), []
    for counter, line in enumerate(lines):
        heads[counter] = _head_of(line, counter + 1, settings, place, dwell_us)
        if line.step < 0:
            samples.append(correlated_noise(noise_covariance_cc, NOISE_SAMPLES, noise_rng))
            continue
        signal_cx = kspace_scyx[line.slice_number, :, line.step]
        samples.append(signal_cx + correlated_noise(covariance_cc, signal_cx.shape[-1], noise_rng))
    unit_scyx = np.empty((*coil_scyx.shape[:3], width), np.complex64)
    shade_syx = np.empty((*coil_scyx.shape[:1], coil_scyx.shape[2], width), np.float32)
    for number, maps_cyx in enumerate(maps_scyx):
        unit_scyx[number], shade_syx[number] = unit_norm(_middle(maps_cyx, width))
    inverse_cc = np.linalg.inv(covariance_cc if np.any(covariance_cc) else np.eye(settings.coils))
    gain_syx = np.sqrt(np.einsum("scyx,cd,sdyx->syx", unit_scyx.conj(), inverse_cc, unit_scyx).real)
    gain_syx /= np.sqrt((gain_syx**2).mean())
    truth_syx = (_middle(image_syx, width) * shade_syx).astype(np.complex64)
    truth = Truth(
        image_syx=truth_syx,
        whitened_syx=(truth_syx * gain_syx).astype(np.complex64),
        maps_scyx=unit_scyx,
        inside_syx=_middle(inside_syx, width).astype(np.float32),
        mask_y=mask_y,
        covariance_cc=covariance_cc,
        noise_scan_covariance_cc=noise_covariance_cc,
    )
    return RawScan(mrd_header(settings, place), heads, samples, truth)
