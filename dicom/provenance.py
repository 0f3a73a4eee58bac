"""How an image came about, for whoever reads it years later: software, model and its hash, lines, fallback."""

from __future__ import annotations

import ismrmrd
from pydicom.dataset import Dataset

from smug_recon import __version__
from smug_recon.dicom.attributes import decimal
from smug_recon.dicom.kinds import PHASE, Kind, by_network, meta_text
from smug_recon.dicom.values import Coding


def fill_provenance(ds: Dataset, image: ismrmrd.Image, kind: Kind, code: Coding) -> None:
    """Set derivation, comments, contributing equipment, and what was sampled."""
    ds.DerivationDescription = derivation(image, kind, code)[:1024]
    comment = meta_text(image, "ImageComments", "ImageComment", "GADGETRON_ImageComment")
    if by_network(image):
        comment = f"AI reconstruction; {comment}".strip("; ")
    if comment:
        ds.ImageComments = comment[:10240]
    ds.ContributingEquipmentSequence = [*_scanner(ds), _software(image)]
    lines = meta_text(image, "SmugLines").split(" of ")
    if len(lines) == 2 and all(part.isdigit() and int(part) > 0 for part in lines):
        ds.NumberOfPhaseEncodingSteps = int(lines[0])
        ds.PercentSampling = decimal(100 * int(lines[0]) / int(lines[1]))
    if (bandwidth_hz := pixel_bandwidth_hz(image)) is not None:
        ds.PixelBandwidth = decimal(bandwidth_hz)


def pixel_bandwidth_hz(image: ismrmrd.Image) -> float | None:
    """Reciprocal of the sampling period of a readout, as the chain tells it; None where it does not."""
    try:
        found = float(meta_text(image, "SmugPixelBandwidthHz"))
    except ValueError:
        return None
    return found if 0 < found < float("inf") else None


def derivation(image: ismrmrd.Image, kind: Kind, code: Coding) -> str:
    """One sentence: AI or not, steps, model with its hash, scaling."""
    history = meta_text(image, "ImageProcessingHistory", "GADGETRON_ImageProcessingHistory")
    said = [f"smug-recon {__version__}: {history or 'reconstruction from raw data'}"]
    if by_network(image):
        said.append(f"AI: image made by the neural network {model(image)}")
    if kind.fallback:
        said.append("FALLBACK: conventional reconstruction in place of the one asked for")
    if kind.uncertainty:
        said.append("standard deviation over the smoothing copies")
    if kind.component == PHASE:
        said.append("phase, 4096 is one turn and 2048 is zero" if code.offset else "phase")
    elif code.factor != 1:
        said.append(f"values times {code.factor:.9g}")
    if scale := meta_text(image, "ScaleFactor", "GADGETRON_ScaleFactor"):
        said.append(f"scale of the chain {scale}")
    return "; ".join(said)


def model(image: ismrmrd.Image) -> str:
    """Name, version and SHA-256 of the model."""
    name, version = meta_text(image, "SmugModel"), meta_text(image, "SmugModelVersion")
    digest = meta_text(image, "SmugModelSha256")
    return " ".join(part for part in (name, version, f"sha256 {digest}" if digest else "") if part)


def pipeline(image: ismrmrd.Image) -> str:
    """Name and SHA-256 of the settings of the chain, and torch, as the end of a sentence; empty if the Meta has none."""
    name, digest = meta_text(image, "SmugPipeline"), meta_text(image, "SmugPipelineSha256")
    torch = meta_text(image, "SmugTorchVersion")
    said = f"; pipeline {name} sha256 {digest}" if digest else ""
    return said + (f"; torch {torch}" if torch else "")


def _scanner(ds: Dataset) -> list[Dataset]:
    """The scanner, if the header names it (CID 7005: 109101, Acquisition Equipment)."""
    if not ds.Manufacturer:
        return []
    item = _equipment("109101", "Acquisition Equipment", ds.Manufacturer)
    for keyword in ("ManufacturerModelName", "InstitutionName", "StationName", "DeviceSerialNumber"):
        if keyword in ds:
            setattr(item, keyword, ds[keyword].value)
    return [item]


def _software(image: ismrmrd.Image) -> Dataset:
    """This software and the model it ran (CID 7005: 109102, Processing Equipment)."""
    item = _equipment("109102", "Processing Equipment", "smug-recon")
    item.ManufacturerModelName = "smug-recon"
    versions = [f"smug-recon {__version__}"]
    made_by = meta_text(image, "SmugReconVersion")
    if made_by and made_by != __version__:
        versions.append(f"chain {made_by}"[:64])
    if by_network(image):
        versions.append(f"{meta_text(image, 'SmugModel')} {meta_text(image, 'SmugModelVersion')}"[:64])
        seed, samples = meta_text(image, "SmugSeed"), meta_text(image, "SmugSamples")
        item.ContributionDescription = (
            f"AI reconstruction by {model(image)}; seed {seed}, {samples} smoothing copies, "
            f"device {meta_text(image, 'SmugDevice')}{pipeline(image)}"
        )[:1024]
    else:
        item.ContributionDescription = f"Conventional reconstruction, no neural network{pipeline(image)}"[
            :1024
        ]
    item.SoftwareVersions = versions
    return item


def _equipment(value: str, meaning: str, manufacturer: str) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [coded(value, "DCM", meaning)]
    item.Manufacturer = manufacturer
    return item


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """A code sequence item (PS3.3 table 8.8-1)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
