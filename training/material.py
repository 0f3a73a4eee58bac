"""What a network was trained on, for its model card."""

from __future__ import annotations

from dataclasses import dataclass

from smug_recon.training.config import DataConfig
from smug_recon.training.measured import MeasuredScans
from smug_recon.training.slices import Volume
from smug_recon.training.sources import SimulatedScans, Source


@dataclass(frozen=True)
class Material:
    """Anatomy, contrasts, the ranges of matrix sizes (y, x), coils and noise levels (standard deviation of a sample, the brightest
    1 % of A^H y being 1), and one entry a source: name, licence, attribution.
    """

    anatomy: str
    contrasts: list[str]
    matrix_yx: list[list[int]]
    coils: list[int]
    noise: list[float]
    sources: list[dict[str, str]]


def attributions(volumes: list[Volume]) -> list[dict[str, str]]:
    """Return one entry a source of training data: name, licence, attribution."""
    found: dict[tuple[str, str], list[str]] = {}
    for volume in volumes:
        subjects = found.setdefault((volume.licence, volume.attribution), [])
        if volume.subject not in subjects:
            subjects.append(volume.subject)
    return [
        {"name": ", ".join(subjects), "licence": licence, "attribution": attribution}
        for (licence, attribution), subjects in found.items()
    ]


def _measured_noise(source: MeasuredScans, count: int = 16) -> list[float]:
    """Return the lowest and the highest noise level, as the network is told it, of the first scans of a source."""
    lines_y = source.lines_y
    levels = [10 ** (float(source.draw(0, n, lines_y[n % len(lines_y)]).level) - 2) for n in range(count)]
    return [float(f"{level:.2g}") for level in (min(levels), max(levels))]


def describe(data: DataConfig, source: Source) -> Material:
    """Describe the scans that a source draws."""
    scans = data.scans
    if isinstance(source, SimulatedScans):
        volumes = source.volumes
        spine = any("spine" in volume.subject for volume in volumes)
        zoomed = [size for volume in volumes for size in volume.slices_nyx.shape[1:]]
        return Material(
            anatomy=data.anatomy or ("brain, some spine" if spine else "brain"),
            contrasts=sorted(data.contrasts or {volume.contrast for volume in volumes}),
            matrix_yx=[
                [min(scans.lines_y), max(scans.lines_y)],
                [scans.slab_x, round(max(zoomed) * scans.zoom[1])],
            ],
            coils=list(scans.coils),
            noise=list(scans.noise),
            sources=attributions(volumes),
        )
    assert isinstance(source, MeasuredScans)
    coils, rows, columns = zip(*source.shapes_cyx, strict=True)
    entry = {
        "name": f"{len(source.files)} fully sampled raw files",
        "licence": data.licence,
        "attribution": data.attribution,
    }
    return Material(
        anatomy=data.anatomy or "unknown",
        contrasts=sorted(data.contrasts),
        matrix_yx=[[min(rows), max(rows)], [min(columns), max(columns)]],
        coils=[min(coils), max(coils)],
        noise=_measured_noise(source),
        sources=[entry],
    )
