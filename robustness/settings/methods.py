"""The methods of the config, one row of the tables each; ``vary`` makes several of one entry."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from smug_recon.robustness.settings.part import Part

LINEAR = "cg-sense"


class MethodSettings(Part):
    """One row of the tables: a network from its weights, or a reconstruction without training.

    ``weights``: a weights file (``NAME.safetensors``) or an exported model (``NAME.pt``).
    ``samples``, ``sigma``, ``sampling``, ``steps``, ``mirror`` replace the network's own at run time, ``weighting`` the weights of
    its smoothing copies. ``bound`` restrains the
    denoiser's output to ``bound_at``: ``clip`` every real and imaginary part, ``tanh`` the same smoothly, ``norm`` projects the
    output, ``residual`` the difference to the input, on a ball of that L2 norm per root pixel.
    ``regularisation``: of CG-SENSE or L1-wavelet; ``auto`` tunes it on ``tuning_split``.
    In the file ``vary: {samples: [2, 4], sigma: [0.01, 0.05]}`` makes one method of every combination, named after its values.
    """

    name: str
    kind: Literal["network", "zero-filled", "cg-sense", "l1-wavelet"] = "network"
    weights: Path | None = None
    samples: int = 2
    sigma: float | None = None
    sampling: Literal["antithetic", "independent"] | None = None
    steps: int | None = None
    mirror: bool | None = None
    weighting: Literal["uniform", "spread"] | None = None
    bound: Literal["none", "clip", "tanh", "norm", "residual"] = "none"
    bound_at: float = 1.2
    regularisation: float | Literal["auto"] = "auto"
    iterations: int = 50

    @model_validator(mode="after")
    def _complete(self) -> MethodSettings:
        if (self.kind == "network") != (self.weights is not None):
            raise ValueError(
                f"method {self.name}: weights belong to kind network, and a network needs weights"
            )
        return self


def varied(entry: Any) -> list[Any]:
    """Return the methods that an entry of the file stands for: itself, or one of every combination under ``vary``."""
    if not isinstance(entry, dict) or "vary" not in entry:
        return [entry]
    plain = {name: value for name, value in entry.items() if name != "vary"}
    fields, values = list(entry["vary"]), list(entry["vary"].values())
    return [
        {
            **plain,
            **dict(zip(fields, chosen, strict=True)),
            "name": "-".join(
                [str(plain.get("name")), *(_short(*pair) for pair in zip(fields, chosen, strict=True))]
            ),
        }
        for chosen in product(*values)
    ]


def _short(field: str, value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{field}{value:g}"
