"""The card of a model file that does next to nothing."""

from __future__ import annotations

from typing import Any

from smug_recon.gadgets.model.card import FORMAT

CARD: dict[str, Any] = {
    "format": FORMAT,
    "name": "tiny",
    "version": "1",
    "method": "adjoint",
    "denoiser": "none",
    "steps": 1,
    "lambda": 1.0,
    "sigma": 0.01,
    "samples": 2,
    "sampling": "antithetic",
    "scaling": "none",
    "trained_range": {
        "anatomy": "none",
        "contrasts": ["T1w"],
        "matrix_yx": [[8, 64], [8, 64]],
        "coils": [1, 8],
        "acceleration": [1, 8],
        "calibration_lines": [8, 32],
        "patterns": ["random"],
    },
    "training_data": [{"name": "none", "licence": "MIT", "attribution": "nobody"}],
    "metrics": {},
    "commit": "unknown",
    "parameters": 0,
}
