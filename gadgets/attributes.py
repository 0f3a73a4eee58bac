"""The Meta attributes of an image, under the keys of FIRE (python-ismrmrd-server) and of Gadgetron alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import ismrmrd
import numpy as np

from smug_recon.gadgets.items import Reconstruction
from smug_recon.gadgets.model import Model
from smug_recon.gadgets.plan import Plan
from smug_recon.gadgets.unroll import SMUG


def attributes(item: Reconstruction, plan: Plan, model: Model, title: str = "") -> ismrmrd.Meta:
    """Return what a host shows, and what a reader needs to tell how the image came about."""
    series = description(item, plan, title)
    comments = "; ".join([_summary(item, plan), *item.notes])
    history = ["SMUG-RECON", item.role] + (["PREWHITENED"] if item.whitened else [])
    if item.fallback:
        history.append("FALLBACK")
    centre, width = window(item)
    roles = ["Image", "FALLBACK"] if item.fallback else ["Image"]
    meta = ismrmrd.Meta()
    for prefix in ("", "GADGETRON_"):
        meta[f"{prefix}DataRole"] = roles
        meta[f"{prefix}ImageComment"] = comments
        meta[f"{prefix}SeriesDescription"] = series
        meta[f"{prefix}ImageProcessingHistory"] = history
        meta[f"{prefix}WindowCenter"] = centre
        meta[f"{prefix}WindowWidth"] = width
    meta["ImageComments"] = comments
    meta["SequenceDescriptionAdditional"] = item.role
    meta["GADGETRON_SeqDescription"] = item.role
    meta["Keep_image_geometry"] = "1"
    meta["ImageRowDir"] = _direction(item.head.read_dir)
    meta["ImageColumnDir"] = _direction(item.head.phase_dir)
    if item.scale is not None:
        meta["GADGETRON_ScaleRatio"] = meta["GADGETRON_ScaleFactor"] = meta["ScaleFactor"] = repr(item.scale)
    meta["SmugSaturatedVoxels"] = str(item.saturated)
    meta["SmugPrewhitened"] = "1" if item.whitened else "0"
    lines = item.of_lines or plan.lines_y
    meta["SmugLines"] = f"{item.sampled_lines} of {lines}"
    meta["SmugAcceleration"] = f"{lines / item.sampled_lines:.2f}"
    if item.partitions > 1:
        meta["SmugPartition"] = f"{item.partition + 1} of {item.partitions}"
    meta["SmugCoils"] = str(item.coils)
    if item.role == SMUG:
        meta["SmugSeed"] = str(plan.pipeline.seed)
        meta["SmugSamples"] = str(plan.pipeline.samples)
        meta["SmugModel"] = model.card.name
        meta["SmugModelVersion"] = str(model.card.version)
        meta["SmugModelSha256"] = model.sha256
        meta["SmugDevice"] = str(model.device)
    meta["SmugReconVersion"] = _version()
    return meta


def description(item: Reconstruction, plan: Plan, title: str) -> str:
    """Return the series description: that of the scan with the pipeline's appended."""
    suffix = plan.pipeline.images.series_description if item.role == SMUG else item.role
    if item.fallback:
        suffix += " FALLBACK CG-SENSE"
    return f"{title} {suffix}".strip()


def window(item: Reconstruction) -> tuple[str, str]:
    """Return centre and width that show the image from zero to its 99.9th percentile."""
    assert item.pixels_yx is not None
    top = max(float(np.percentile(np.abs(item.pixels_yx), 99.9)), float(np.finfo(np.float32).tiny))
    if item.pixels_yx.dtype == np.uint16:
        width = max(2, round(top))
        return str(width // 2), str(width)
    return f"{top / 2:.6g}", f"{top:.6g}"


def _summary(item: Reconstruction, plan: Plan) -> str:
    return (
        f"{item.role}, {item.sampled_lines} of {item.of_lines or plan.lines_y} lines, {item.coils} coils"
        + ("" if item.whitened else ", not prewhitened")
    )


def _direction(vector: Sequence[float]) -> list[str]:
    return [f"{float(part):.18f}" for part in vector]


@cache
def _version() -> str:
    try:
        return version("smug-recon")
    except PackageNotFoundError:
        return "unknown"
