"""What a simulated scan is asked to be."""

from __future__ import annotations

from dataclasses import dataclass

from smug_recon.errors import ConfigurationError
from smug_recon.simulation.geometry import ORIENTATIONS
from smug_recon.simulation.masks import PATTERNS
from smug_recon.simulation.tissue import CONTRASTS

CALIBRATIONS = ("embedded", "separate", "unflagged", "none")


@dataclass(frozen=True)
class ScanSettings:
    """Settings of one simulated scan.

    Attributes:
        matrix_xy: reconstructed matrix, readout and phase encode. coils: receive channels.
        acceleration: net for ``random``, nominal for ``regular`` lines; 1 samples every line.
        acs: calibration lines. calibration: ``embedded`` (flagged as calibration and imaging), ``separate``
            (a reference scan before the imaging lines), ``unflagged`` (there, but not flagged), ``none``.
        oversampling: of the readout, 1 or 2. slices, interleaved: number, and whether they take turns line by
            line.
        orientation: axial, sagittal, coronal, or oblique (an axial stack tilted about all three axes).
        noise_scan: put noise readouts in front. snr: mean signal in the head over the noise standard
            deviation of the real part, in the fully sampled, optimally combined image; ``inf`` for none.
            contrast: t1w, t2w, flair.
        thickness_mm, spacing_mm: of the slices. seed: of everything that is drawn.
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

    def __post_init__(self) -> None:
        choices = (
            ("pattern", self.pattern, PATTERNS),
            ("calibration", self.calibration, CALIBRATIONS),
            ("orientation", self.orientation, ORIENTATIONS),
            ("contrast", self.contrast, tuple(CONTRASTS)),
            ("oversampling", self.oversampling, (1, 2)),
        )
        for name, value, allowed in choices:
            if value not in allowed:
                wanted = ", ".join(str(choice) for choice in allowed)
                raise ConfigurationError(f"{name} {value!r}", f"one of {wanted}", f"change --{name}")
        limits = (
            ("matrix x", self.matrix_xy[0], 16, 2048),
            ("matrix y", self.matrix_xy[1], 16, 2048),
            ("coils", self.coils, 1, 128),
            ("slices", self.slices, 1, 512),
            ("acceleration", self.acceleration, 1, self.matrix_xy[1] / 4),
            ("acs", self.acs, 0, self.matrix_xy[1]),
            ("seed", self.seed, 0, 2**63),
        )
        for name, number, low, high in limits:
            if not low <= number <= high:
                raise ConfigurationError(
                    f"{name} {number}", f"{low} to {high:g}", f"change --{name.split()[0]}"
                )
        if not self.snr > 0:
            raise ConfigurationError(f"snr {self.snr}", "a positive number or inf", "change --snr")
        lines = round(self.matrix_xy[1] / self.acceleration)
        if self.pattern == "random" and self.calibration in ("embedded", "unflagged") and self.acs > lines:
            raise ConfigurationError(
                f"{self.acs} calibration lines and acceleration {self.acceleration:g}",
                f"at most the {lines} lines that this acceleration samples in all",
                "lower --acs or --acceleration",
            )
