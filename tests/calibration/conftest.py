"""The real scan, for the tests of the calibration."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def brain_kspace(shared_data: Path) -> Tensor:
    """Return the real fully sampled scan ``brain8ch.h5``, 8 coils x 180 lines x 230 samples."""
    with h5py.File(shared_data / "brain8ch.h5") as file:
        acquisitions = file["dataset/data"][:]
    kspace_cyx = torch.zeros(8, 180, 230, dtype=torch.complex64)
    for head, samples in zip(acquisitions["head"], acquisitions["data"], strict=True):
        kspace_cyx[:, int(head["idx"]["kspace_encode_step_1"])] = torch.from_numpy(
            samples.view(np.complex64)
        ).view(8, 230)
    return kspace_cyx / kspace_cyx.abs().max()
