"""Tissues at 3 T and the signal they give.

Relaxation times of white matter, grey matter, muscle, blood: Stanisz et al. 2005 (DOI 10.1002/mrm.20605) and,
for T1 of white and grey matter, Wansapura et al. 1999 (DOI
10.1002/(SICI)1522-2586(199904)9:4<531::AID-JMRI4>3.0.CO;2-L); T1 of fat and
marrow: de Bazelaire et al. 2004 (DOI 10.1148/radiol.2303021331); their T2 is the longer one seen in echo
trains. Proton densities and the remaining rows are round values between their neighbours, chosen for a
believable contrast, not measured ones. ``fine``, ``mid`` and ``low`` are relative standard deviations of the
texture at about 3, 10 and 45 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tissue:
    """Proton density (water in CSF is 1), relaxation times in ms, and relative texture."""

    name: str
    proton_density: float
    t1_ms: float
    t2_ms: float
    fine: float = 0.02
    mid: float = 0.02
    low: float = 0.02
    flows: bool = False


TISSUES = (
    Tissue("air", 0.0, 1000, 1, 0, 0, 0),
    Tissue("skin", 0.60, 900, 35, 0.10, 0.10),
    Tissue("fat", 0.48, 380, 120, 0.08, 0.10, 0.06),
    Tissue("muscle", 0.75, 1412, 40, 0.10, 0.10, 0.04),
    Tissue("compact bone", 0.04, 800, 4, 0.20, 0.20),
    Tissue("marrow", 0.30, 450, 85, 0.12, 0.16, 0.08),
    Tissue("dura", 0.25, 900, 20, 0.10, 0.10),
    Tissue("csf", 1.00, 4200, 1800, 0.01, 0.02, 0.01),
    Tissue("grey matter", 0.82, 1331, 105, 0.025, 0.02, 0.02),
    Tissue("white matter", 0.70, 832, 75, 0.015, 0.015, 0.015),
    Tissue("striatum", 0.80, 1230, 85, 0.02, 0.02, 0.01),
    Tissue("thalamus", 0.77, 1100, 83, 0.025, 0.03, 0.01),
    Tissue("pallidum", 0.73, 960, 62, 0.02, 0.02, 0.01),
    Tissue("blood", 0.90, 1900, 200, 0.03, 0.03, 0.02, flows=True),
    Tissue("vitreous", 1.00, 4000, 1500, 0.01, 0.01, 0.01),
    Tissue("lens", 0.55, 1200, 35, 0.02, 0.02, 0.01),
    Tissue("mucosa", 0.80, 1700, 120, 0.08, 0.08),
)
INDEX = {tissue.name: number for number, tissue in enumerate(TISSUES)}


@dataclass(frozen=True)
class Contrast:
    """A pulse sequence as far as the signal equation needs it: ``kind`` is ``spin_echo``, ``gradient_echo``
    or ``inversion``.
    """

    name: str
    kind: str
    tr_ms: float
    te_ms: float
    ti_ms: float = 0.0
    flip_deg: float = 90.0

    def signal(self, tissue: Tissue) -> float:
        """Return the transverse magnetisation of a tissue.

        Spin echo: ``PD (1 - E1) exp(-TE / T2)``; spoiled gradient echo: ``PD sin(a) (1 - E1) / (1 - E1
        cos(a)) exp(-TE / T2*)`` with T2* = 0.6 T2; inversion recovery: ``PD (1 - 2 exp(-TI / T1) + E1)
        exp(-TE / T2)``; ``E1 = exp(-TR / T1)``. Flowing blood is void in spin echoes and enters unsaturated
        (weight 0.6) in gradient echoes.
        """
        e1 = math.exp(-self.tr_ms / tissue.t1_ms)
        if self.kind == "gradient_echo":
            flip = math.radians(self.flip_deg)
            steady = math.sin(flip) * (1 - e1) / (1 - e1 * math.cos(flip))
            if tissue.flows:
                steady = 0.4 * steady + 0.6 * math.sin(flip) * 0.5
            return tissue.proton_density * steady * math.exp(-self.te_ms / (0.6 * tissue.t2_ms))
        longitudinal = 1 - e1
        if self.kind == "inversion":
            longitudinal = 1 - 2 * math.exp(-self.ti_ms / tissue.t1_ms) + e1
        if tissue.flows:
            longitudinal = 0.2 if self.te_ms < 20 else 0.08
        return tissue.proton_density * longitudinal * math.exp(-self.te_ms / tissue.t2_ms)

    def signals(self) -> np.ndarray:
        """Return the signal of every tissue of the table, float32."""
        return np.array([self.signal(tissue) for tissue in TISSUES], np.float32)


CONTRASTS = {
    "t1w": Contrast("t1w", "inversion", tr_ms=2300, te_ms=3, ti_ms=950),
    "t2w": Contrast("t2w", "spin_echo", tr_ms=5000, te_ms=95),
    "flair": Contrast("flair", "inversion", tr_ms=9000, te_ms=95, ti_ms=2500),
}
