"""What the pixels of an MRD image are: its component, where it comes from, and the series it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ismrmrd
import numpy as np

MAGNITUDE, PHASE, REAL, IMAGINARY = "magnitude", "phase", "real", "imaginary"
COMPONENTS = (MAGNITUDE, PHASE, REAL, IMAGINARY)
LETTERS = {MAGNITUDE: "M", PHASE: "P", REAL: "R", IMAGINARY: "I"}
"""Third value of ImageType as Siemens, Philips and GE write it."""

_OF_TYPE = {
    ismrmrd.IMTYPE_MAGNITUDE: MAGNITUDE,
    ismrmrd.IMTYPE_PHASE: PHASE,
    ismrmrd.IMTYPE_REAL: REAL,
    ismrmrd.IMTYPE_IMAG: IMAGINARY,
}


@dataclass(frozen=True)
class Kind:
    """What tells one series from another: MRD series index, component, origin and matrix."""

    index: int
    component: str
    fallback: bool
    uncertainty: bool
    role: str
    shape_yx: tuple[int, int]

    @property
    def image_type(self) -> list[str]:
        """ImageType; images of a network carry AI, those that stand in for one FALLBACK."""
        values = ["DERIVED", "PRIMARY", LETTERS[self.component]]
        if self.role:
            values.append(code_string(self.role))
        if self.uncertainty:
            values.append("STD_DEVIATION")
        if self.fallback:
            values.append("FALLBACK")
        return values


def parts(image: ismrmrd.Image, wanted: Sequence[str]) -> Iterator[tuple[Kind, np.ndarray]]:
    """Yield every wanted component of an image with its values (partition, row, column).

    Complex images are taken apart; phase is in radian. Several channels are several images to nobody who looks at
    DICOM: the first one is taken.
    """
    values_zyx = np.asarray(image.data)[0]
    if np.iscomplexobj(values_zyx):
        made = {
            MAGNITUDE: lambda: np.abs(values_zyx),
            PHASE: lambda: np.angle(values_zyx),
            REAL: lambda: values_zyx.real,
            IMAGINARY: lambda: values_zyx.imag,
        }
        for component in wanted:
            yield kind(image, component), made[component]()
    else:
        yield kind(image, _OF_TYPE.get(int(image.image_type), MAGNITUDE)), values_zyx


def kind(image: ismrmrd.Image, component: str) -> Kind:
    """The kind of an image, by its header and the DataRole of its Meta."""
    roles = [role.upper() for role in meta_values(image, "DataRole", "GADGETRON_DataRole")]
    shape = image.data.shape
    return Kind(
        int(image.image_series_index),
        component,
        "FALLBACK" in roles,
        any("UNCERTAINTY" in role for role in roles),
        meta_text(image, "SequenceDescriptionAdditional", "GADGETRON_SeqDescription"),
        (int(shape[2]), int(shape[3])),
    )


def by_network(image: ismrmrd.Image) -> bool:
    """Whether a network made this image: its Meta names the model, and it is no fallback."""
    return bool(meta_text(image, "SmugModel")) and not kind(image, MAGNITUDE).fallback


def code_string(text: str) -> str:
    """Text as a DICOM code string: at most 16 of A-Z, 0-9, space and underscore."""
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in text.upper())
    return plain[:16].strip("_")


def meta_values(image: ismrmrd.Image, *names: str) -> list[str]:
    """The values of the first Meta entry found."""
    for name in names:
        if value := image.meta.get(name):
            return [str(part) for part in value] if isinstance(value, list) else [str(value)]
    return []


def meta_text(image: ismrmrd.Image, *names: str) -> str:
    """The first Meta entry found as text; several values are joined as steps."""
    return ", ".join(meta_values(image, *names)).replace("\\", "/").strip()
