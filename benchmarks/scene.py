"""The problems that are measured: a simulated raw scan, and its slice in hybrid space with coil maps."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from typing import Any

import ismrmrd
import torch
from torch import Tensor

from smug_recon.benchmarks.sizes import Size
from smug_recon.gadgets.flow.items import Slice
from smug_recon.gadgets.flow.timing import Report
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.maps.coils import coil_maps
from smug_recon.gadgets.model.file import Model, load_model
from smug_recon.gadgets.stream import gathered
from smug_recon.pipeline import Pipeline, load_pipeline
from smug_recon.simulation.protocol.settings import ScanSettings
from smug_recon.simulation.raw.file import RawScan
from smug_recon.simulation.scan import simulate_scan


@functools.lru_cache(maxsize=4)
def scan_of(matrix_yx: tuple[int, int], coils: int, acs: int, slices: int = 1) -> RawScan:
    """Simulate a scan, R = 4, with noise scan and oversampling; the same for the same arguments."""
    settings = ScanSettings(
        matrix_xy=(matrix_yx[1], matrix_yx[0]),
        coils=coils,
        acs=acs,
        slices=slices,
        orientation="axial",
        interleaved=False,
    )
    return simulate_scan(settings)


@functools.lru_cache(maxsize=4)
def slice_of(matrix_yx: tuple[int, int], coils: int, acs: int) -> Slice:
    """Return the slice of that scan as the network meets it: whitened, with ESPIRiT maps."""
    raw = scan_of(matrix_yx, coils, acs)
    header = ismrmrd.xsd.CreateFromDocument(raw.xml)
    plan, report = build_plan(header, load_pipeline()), Report()
    stream = coil_maps(gathered(raw.acquisitions(), plan, header, report), plan, report)
    return next(item for item in stream if isinstance(item, Slice))


def inputs(size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``kspace_bcyx`` in hybrid space, ``maps_bcyx`` and ``mask_by`` of one slice."""
    found = slice_of(size.matrix_yx, size.coils, size.acs)
    assert found.maps_cyx is not None
    return found.kspace_cyx[None], found.maps_cyx[None], found.mask_y[None].to(torch.float32)


@functools.lru_cache(maxsize=2)
def shipped_model(device: str = "cpu") -> Model:
    """Load the model of the shipped pipeline."""
    pipeline = load_pipeline()
    return load_model(pipeline.model_path, pipeline.model.sha256, device)


def shipped_pipeline(**overrides: Any) -> Pipeline:
    """Return the shipped pipeline on the CPU, with other settings by dotted name (``__`` for the dot)."""
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_pipeline().with_overrides({"device": "cpu", **given})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the log of the chain out of the tables."""
    log = logging.getLogger("smug_recon")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def relative(found: Tensor, truth: Tensor) -> float:
    """Return ``|found - truth| / |truth|``."""
    return float((found - truth).norm() / truth.norm())
