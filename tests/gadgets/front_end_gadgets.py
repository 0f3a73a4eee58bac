"""Gadgetron's C++ gadgets before the accumulation, in NumPy, without the Python package gadgetron.

After NoiseAdjustGadget, AsymmetricEchoAdjustROGadget and RemoveROOversamplingGadget of Gadgetron 4.7 (``gadgets/mri_core``).
"""

from __future__ import annotations

from typing import Any

import ismrmrd
import numpy as np

from smug_recon.gadgets.flow.items import NOISE


def copied(head: Any) -> ismrmrd.AcquisitionHeader:
    return ismrmrd.AcquisitionHeader.from_buffer_copy(bytes(head))


def transformed(data_cx: np.ndarray, inverse: bool) -> np.ndarray:
    """hoNDFFT ifft1c and fft1c: centred, orthonormal."""
    function = np.fft.ifft if inverse else np.fft.fft
    return np.fft.fftshift(function(np.fft.ifftshift(data_cx, axes=1), axis=1, norm="ortho"), axes=1)


def noise_adjust(
    readouts: list[ismrmrd.Acquisition], bandwidth: float, whiten: bool = True
) -> list[ismrmrd.Acquisition]:
    """Whiten by the inverted upper Cholesky factor, scaled to variance 1 in the real and the imaginary part each."""
    noise = [readout for readout in readouts if readout.flags & NOISE]
    others = [readout for readout in readouts if not readout.flags & NOISE]
    if not whiten or not noise:
        return others
    samples_nc = np.concatenate([readout.data.T for readout in noise]).astype(np.complex128)
    covariance_cc = samples_nc.conj().T @ samples_nc / (len(samples_nc) - 1)
    upper_cc = np.linalg.inv(np.linalg.cholesky(covariance_cc).conj().T)
    found = []
    for readout in others:
        scale = np.sqrt(2 * readout.sample_time_us / noise[0].sample_time_us * bandwidth)
        found.append(rebuilt(readout.getHead(), (readout.data.T @ upper_cc * scale).T))
    return found


def rebuilt(head: Any, data_cx: np.ndarray) -> ismrmrd.Acquisition:
    made = copied(head)
    made.active_channels, made.number_of_samples = data_cx.shape
    return ismrmrd.Acquisition(made, np.ascontiguousarray(data_cx, np.complex64))


def adjust_asymmetric_echo(readout: ismrmrd.Acquisition, encoded_x: int) -> ismrmrd.Acquisition:
    samples, centre = readout.number_of_samples, readout.center_sample
    if 2 * centre == samples or centre >= samples or samples >= encoded_x:
        return readout
    missing = encoded_x - samples
    pre, post = (missing, 0) if 2 * centre < samples else (0, missing)
    made = rebuilt(readout.getHead(), np.pad(readout.data, ((0, 0), (pre, post))))
    made.discard_pre, made.discard_post, made.center_sample = pre, post, encoded_x // 2
    return made


def remove_oversampling(readout: ismrmrd.Acquisition, ratio: float) -> ismrmrd.Acquisition:
    if ratio == 1:
        return readout
    before = readout.number_of_samples
    after = int(before / np.float32(ratio))
    start = (before - after) // 2
    image_cx = transformed(readout.data, inverse=True)[:, start : start + after]
    made = rebuilt(readout.getHead(), transformed(image_cx, inverse=False))
    made.center_sample = int(readout.center_sample / ratio)
    made.discard_pre, made.discard_post = int(readout.discard_pre / ratio), int(readout.discard_post / ratio)
    return made


def prepared(
    items: list[Any], header: Any, bandwidth: float, whiten: bool = True, asymmetric: bool = False
) -> list:
    """Run every readout through the gadgets before the accumulation; waveforms pass."""
    space, recon = header.encoding[0].encodedSpace, header.encoding[0].reconSpace
    ratio = space.fieldOfView_mm.x / recon.fieldOfView_mm.x
    readouts = noise_adjust([i for i in items if isinstance(i, ismrmrd.Acquisition)], bandwidth, whiten)
    if asymmetric:
        readouts = [adjust_asymmetric_echo(readout, space.matrixSize.x) for readout in readouts]
    readouts = [remove_oversampling(readout, ratio) for readout in readouts]
    return [item for item in items if isinstance(item, ismrmrd.Waveform)] + readouts
