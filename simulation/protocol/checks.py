"""Which settings of a simulated scan make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smug_recon.errors import ConfigurationError
from smug_recon.simulation.anatomy.tissue import CONTRASTS
from smug_recon.simulation.protocol.geometry import ORIENTATIONS
from smug_recon.simulation.protocol.layout import Layout
from smug_recon.simulation.protocol.masks import PATTERNS

if TYPE_CHECKING:
    from smug_recon.simulation.protocol.settings import ScanSettings

CALIBRATIONS = ("embedded", "separate", "external", "unflagged", "none")
EXTRA_LINES = ("dummy", "navigator", "phase-correction", "surface-coil", "feedback")


def check(settings: ScanSettings) -> None:
    """Raise ConfigurationError for settings that no scanner could be asked for."""
    _check_choices(settings)
    _check_numbers(settings)
    _check_together(settings)


def _check_choices(settings: ScanSettings) -> None:
    choices: list[tuple[str, object, tuple[object, ...]]] = [
        ("pattern", settings.pattern, PATTERNS),
        ("calibration", settings.calibration, CALIBRATIONS),
        ("orientation", settings.orientation, ORIENTATIONS),
        ("contrast", settings.contrast, tuple(CONTRASTS)),
        ("oversampling", settings.oversampling, (1, 2)),
    ]
    choices += [("extra-lines", name, EXTRA_LINES) for name in settings.extra_lines]
    for name, value, allowed in choices:
        if value not in allowed:
            wanted = ", ".join(str(choice) for choice in allowed)
            raise ConfigurationError(f"{name} {value!r}", f"one of {wanted}", f"change --{name}")


def _check_numbers(settings: ScanSettings) -> None:
    x, y = settings.matrix_xy
    recon_x, recon_y = settings.recon_matrix_xy or settings.matrix_xy
    limits: list[tuple[str, float, float, float]] = [
        ("matrix x", x, 16, 2048),
        ("matrix y", y, 16, 2048),
        ("matrix z", settings.matrix_z, 1, 512),
        ("coils", settings.coils, 1, 128),
        ("slices", settings.slices, 1, 512),
        ("acceleration", settings.acceleration, 1, y * settings.matrix_z / 4),
        ("acs", settings.acs, 0, y),
        ("seed", settings.seed, 0, 2**63),
        ("partial-fourier", settings.partial_fourier, 0.55, 1),
        ("asymmetric-echo", settings.asymmetric_echo, 0, 0.45),
        ("phase-oversampling", settings.phase_oversampling, 0, 2),
        ("fov", settings.fov, 0.5, 2),
        ("recon-matrix x", recon_x, x, 4096),
        ("recon-matrix y", recon_y, y, 4096),
        ("discard before", settings.discard[0], 0, 256),
        ("discard after", settings.discard[1], 0, 256),
    ]
    for name in ("contrasts", "phases", "repetitions", "averages", "sets", "segments"):
        limits.append((name, getattr(settings, name), 1, 32 if name == "contrasts" else 10000))
    limits += [("dead-coil", number, 0, settings.coils - 1) for number in settings.dead_coils]
    for name, number, low, high in limits:
        if not low <= number <= high:
            raise ConfigurationError(
                f"{name} {number}", f"{low:g} to {high:g}", f"change --{name.split()[0]}"
            )
    if not settings.snr > 0:
        raise ConfigurationError(f"snr {settings.snr}", "a positive number or inf", "change --snr")


def _check_together(settings: ScanSettings) -> None:
    layout = Layout.of(settings)
    total = round(layout.acquired_y * layout.partitions_z / settings.acceleration)
    block = min(settings.acs, layout.acquired_y) * layout.acs_z
    inside = settings.calibration in ("embedded", "unflagged")
    if settings.pattern != "regular" and inside and block > total:
        raise ConfigurationError(
            f"{block} calibration lines and acceleration {settings.acceleration:g}",
            f"at most the {total} lines that this acceleration samples in all",
            "lower --acs or --acceleration",
        )
    if settings.calibration == "external" and settings.acs < 8:
        raise ConfigurationError(
            f"an external reference scan of {settings.acs} lines", "at least 8", "raise --acs"
        )
    if settings.three_dimensional and settings.slices > 1:
        raise ConfigurationError(
            f"{settings.slices} slices of {settings.matrix_z} partitions",
            "one slab in a three-dimensional scan",
            "give --slices 1, or leave Z out of --matrix",
        )
    if len(set(settings.dead_coils)) == settings.coils:
        raise ConfigurationError(
            f"all {settings.coils} coils dead", "at least one that works", "change --dead-coil"
        )
