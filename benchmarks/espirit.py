"""Coil maps: ours against sigpy's EspiritCalib and ``bart ecalib``, and against our own result on the full grid."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smug_recon.benchmarks.interleave import interleave
from smug_recon.benchmarks.machine import bart_version, machine, one_thread
from smug_recon.benchmarks.record import Result, speed_row
from smug_recon.benchmarks.scene import scan_of, slice_of
from smug_recon.benchmarks.sizes import Size
from smug_recon.calibration import calibration_block, calibration_lines, espirit_maps

KERNEL = 6
OURS, SIGPY, BART = "smug-recon", "sigpy", "bart ecalib"


def run(size: Size) -> Result:
    """Measure at a size, on one thread."""
    block_cyx = block_of(size)
    kernel = min(KERNEL, size.acs // 3)
    options: dict[str, Any] = {"kernel": kernel, "crop": 0.0}
    cases: dict[str, Callable[[], Tensor]] = {
        SIGPY: lambda: with_sigpy(block_cyx, size.matrix_yx, kernel),
        OURS: lambda: espirit_maps(block_cyx, size.matrix_yx, **options)[0],
    }
    version = bart_version()
    with one_thread():
        cases[OURS]()
        times, found = interleave(cases, size.rounds, warm_up=0)
        inside_yx = head_of(size)
        full_cyx = espirit_maps(block_cyx, size.matrix_yx, grid=max(size.matrix_yx), **options)[0]
        loss = {"misalignment to the full grid": discord(found[OURS], full_cyx, inside_yx)}
        near = {"misalignment to sigpy": discord(found[OURS], found[SIGPY], inside_yx)}
        rows = [speed_row(f"{OURS} against {SIGPY}", times, SIGPY, OURS, 100.0, accuracy={**loss, **near})]
        if version is not None:
            with tempfile.TemporaryDirectory(prefix="smug-recon-") as folder:
                cases[BART] = prepare_bart(block_cyx, size.matrix_yx, kernel, Path(folder))
                del cases[SIGPY]
                times, found = interleave(cases, max(size.rounds, 2), warm_up=0)
            near = {"misalignment to bart": discord(found[OURS], found[BART], inside_yx)}
            note = f"{version}; its time is that of the process, files included"
            rows.append(
                speed_row(
                    f"{OURS} against {BART}", times, BART, OURS, 20.0, accuracy={**loss, **near}, note=note
                )
            )
        measured_on = machine()
    missing = "" if version else " bart is not installed (Debian's package bart): no comparison with it."
    about = (
        f"{size.coils} coils, {size.matrix_yx[0]}x{size.matrix_yx[1]}, {size.acs} lines, kernel {kernel}, one thread each. "
        f"Misalignment: mean of 1 - abs(a^H b) over the head.{missing}"
    )
    return Result("espirit", size.name, about, measured_on, rows)


def block_of(size: Size) -> Tensor:
    """Return the whitened calibration block (c, ky, kx) of the simulated slice."""
    found = slice_of(size.matrix_yx, size.coils, size.acs)
    lines = calibration_lines(found.mask_y, found.flagged_y, maximum=size.acs)
    return calibration_block(found.kspace_cyx, lines, size.acs)


def head_of(size: Size) -> Tensor:
    """Where the head is (y, x), bool."""
    inside = scan_of(size.matrix_yx, size.coils, size.acs).truth.inside_syx[0]
    return torch.from_numpy(np.asarray(inside)) > 0.5


def with_sigpy(block_cyx: Tensor, shape_yx: tuple[int, int], kernel: int) -> Tensor:
    """Return the maps of sigpy."""
    import sigpy.mri

    lines, columns = block_cyx.shape[1:]
    padded = torch.zeros((block_cyx.shape[0], *shape_yx), dtype=torch.complex64)
    y, x = shape_yx[0] // 2 - lines // 2, shape_yx[1] // 2 - columns // 2
    padded[:, y : y + lines, x : x + columns] = block_cyx
    app = sigpy.mri.app.EspiritCalib(
        padded.numpy(), calib_width=min(lines, columns), kernel_width=kernel, crop=0, show_pbar=False
    )
    return torch.from_numpy(app.run())


def prepare_bart(
    block_cyx: Tensor, shape_yx: tuple[int, int], kernel: int, folder: Path
) -> Callable[[], Tensor]:
    """Write the k-space for BART and return what runs it and reads the maps, dimensions (x, y, z, coil)."""
    coils, lines, columns = block_cyx.shape
    hybrid = torch.zeros((coils, *shape_yx), dtype=torch.complex64)
    y, x = shape_yx[0] // 2 - lines // 2, shape_yx[1] // 2 - columns // 2
    hybrid[:, y : y + lines, x : x + columns] = block_cyx
    shape = [shape_yx[1], shape_yx[0], 1, coils]
    header = "# Dimensions\n" + " ".join(map(str, [*shape, *[1] * 12])) + "\n"
    (folder / "kspace.hdr").write_text(header, encoding="ascii")
    hybrid.permute(2, 1, 0).numpy().ravel(order="F").tofile(folder / "kspace.cfl")
    width = str(min(lines, columns))
    command = ["bart", "ecalib", "-m", "1", "-c", "0", "-r", width, "-k", str(kernel), "kspace", "maps"]

    alone = {**os.environ, "OMP_NUM_THREADS": "1"}

    def work() -> Tensor:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600, env=alone)
        maps = np.fromfile(folder / "maps.cfl", np.complex64).reshape(shape, order="F")
        return torch.from_numpy(np.ascontiguousarray(maps[:, :, 0].transpose(2, 1, 0)))

    return work


def discord(a_cyx: Tensor, b_cyx: Tensor, inside_yx: Tensor) -> float:
    """Return the mean of ``1 - |<a, b>|`` over a region, for maps of unit norm."""
    norm = a_cyx.norm(dim=0) * b_cyx.norm(dim=0)
    overlap = (a_cyx.conj() * b_cyx).sum(0).abs() / norm.clamp_min(1e-20)
    return float((1 - overlap[inside_yx & (norm > 0.5)]).mean())
