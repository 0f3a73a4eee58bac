"""What a simulated scan is asked to be."""

from __future__ import annotations

from dataclasses import dataclass

from smug_recon.simulation.protocol.checks import CALIBRATIONS, check

__all__ = ["CALIBRATIONS", "ScanSettings"]


@dataclass(frozen=True)
class ScanSettings:
    """Settings of one simulated scan; the names are those of the options of ``smug-recon simulate``.

    Attributes:
        matrix_xy: reconstructed matrix, readout and phase encode. matrix_z: partitions of a three-dimensional
            scan, 1 for slices. coils: receive channels.
        acceleration: net for ``random`` and ``poisson``, nominal for ``regular`` lines; 1 samples every line.
        acs: calibration lines (a block of ``acs x acs`` in ky-kz). calibration: ``embedded`` (flagged as
            calibration and imaging), ``separate`` (lines of the same scan in front of the imaging lines),
            ``external`` (a scan of lower resolution and another contrast in front, in an encoding of its
            own), ``unflagged`` (there, but not flagged), ``none``.
        oversampling: of the readout, 1 or 2. slices, interleaved: number, and whether they take turns line by
            line.
        orientation: axial, sagittal, coronal, or oblique (an axial stack tilted about all three axes).
        noise_scan: put noise readouts in front. snr: mean signal in the head over the noise standard
            deviation of the real part, in the fully sampled, optimally combined image of one average; ``inf``
            for none. contrast: t1w, t2w, flair.
        thickness_mm, spacing_mm: of the slices; ``thickness_mm`` is that of a partition in 3-D. seed: of
            everything that is drawn.
        partial_fourier: share of the phase-encode lines that is acquired, the beginning left out.
        asymmetric_echo: share of the readout samples left out before the echo.
        contrasts, phases, repetitions, averages, sets, segments: how many; the truth differs between all but
            averages and segments.
        phase_oversampling: lines added, as a share of ``matrix_xy[1]``. recon_matrix_xy: zero-filled matrix
            of the images. fov: field of view relative to the smallest that holds the head; below 1 it folds.
        dead_coils: channels, from 0, that record nothing. reversed_lines: every second readout runs backwards.
        extra_lines: readouts that carry no image line, out of ``dummy``, ``navigator``,
            ``phase-correction``, ``surface-coil``, ``feedback``. discard: samples before and after a readout
            that are to be discarded.
    """

    matrix_xy: tuple[int, int] = (256, 256)
    coils: int = 12
    acceleration: float = 4.0
    acs: int = 24
    pattern: str = "random"
    calibration: str = "embedded"
    oversampling: int = 2
    slices: int = 6
    interleaved: bool = True
    orientation: str = "oblique"
    noise_scan: bool = True
    snr: float = 40.0
    contrast: str = "t1w"
    thickness_mm: float = 4.0
    spacing_mm: float = 11.0
    seed: int = 0
    matrix_z: int = 1
    partial_fourier: float = 1.0
    asymmetric_echo: float = 0.0
    contrasts: int = 1
    phases: int = 1
    repetitions: int = 1
    averages: int = 1
    sets: int = 1
    segments: int = 1
    phase_oversampling: float = 0.0
    recon_matrix_xy: tuple[int, int] | None = None
    fov: float = 1.0
    dead_coils: tuple[int, ...] = ()
    reversed_lines: bool = False
    extra_lines: tuple[str, ...] = ()
    discard: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def three_dimensional(self) -> bool:
        """Whether partitions are encoded."""
        return self.matrix_z > 1

    @property
    def changes(self) -> bool:
        """Whether the object changes during the scan (phases, repetitions, sets)."""
        return max(self.phases, self.repetitions, self.sets) > 1
