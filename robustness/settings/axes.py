"""What is varied: noise, attacks, shifts, lesions, bounds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from smug_recon.robustness.settings.part import Part
from smug_recon.robustness.settings.scan import ScanSettings

Domain = Literal["kspace", "adjoint", "start"]
Norm = Literal["linf", "l2"]


class NoiseAxis(Part):
    """Gaussian noise of ``strengths`` (times the peak of the target, on real and imaginary part) in each domain."""

    domains: tuple[Domain, ...] = ("kspace", "adjoint")
    strengths: tuple[float, ...]


class AttackAxis(Part):
    """Projected gradient ascent; see docs/evaluate.md.

    ``step`` is relative to the radius (default ``2.5 / steps``), ``eot`` the seeds of smoothing noise averaged in each step,
    ``knows_seed`` attacks the very seed that is evaluated, ``through`` how gradients pass the conjugate gradients, ``only``
    the methods attacked (default: all), ``transfer_from`` names a method whose perturbation all others get as well.
    """

    domain: Domain
    norm: Norm = "linf"
    strengths: tuple[float, ...]
    steps: tuple[int, ...] = (10,)
    step: float | None = None
    restarts: int = 1
    eot: int = 1
    knows_seed: bool = False
    through: Literal["implicit", "iterations"] = "implicit"
    only: tuple[str, ...] = ()
    transfer_from: str | None = None


class LesionAxis(Part):
    """Faint Gaussian lesions: ``contrasts`` relative to the tissue around, ``sizes_px`` their standard deviation; attacked in
    k-space (L_inf) with ``strengths``, ``steps`` steps, to hide them and to invent one.
    """

    contrasts: tuple[float, ...] = (0.15, 0.3)
    sizes_px: tuple[float, ...] = (2.0,)
    strengths: tuple[float, ...] = (0.002,)
    steps: int = 10


class BoundAxis(Part):
    """Bounds and measured amplification: power iterations, and an L2 attack on k-space of ``strength`` with ``steps`` steps.

    ``slices``: only so many of the slices, the first.
    """

    iterations: int = 12
    strength: float = 0.002
    steps: int = 10
    slices: int | None = None
    only: tuple[str, ...] = ()


class Axes(Part):
    """What is varied. ``shifts``: fields of the scan settings and their values; ``denoising``: noise on the target itself."""

    noise: NoiseAxis | None = None
    attacks: tuple[AttackAxis, ...] = ()
    shifts: dict[str, tuple[Any, ...]] = {}
    unrolling_steps: tuple[int, ...] = ()
    input_scale: tuple[float, ...] = ()
    denoising: tuple[float, ...] = ()
    lesions: LesionAxis | None = None
    bounds: BoundAxis | None = None

    @model_validator(mode="after")
    def _known(self) -> Axes:
        unknown = set(self.shifts) - set(ScanSettings.model_fields)
        if unknown:
            raise ValueError(
                f"shifts of {sorted(unknown)}: not scan settings ({', '.join(ScanSettings.model_fields)})"
            )
        for field, values in self.shifts.items():
            for value in values:
                ScanSettings.model_validate({field: value})
        return self
