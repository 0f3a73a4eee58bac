"""The Meta attributes of an image, under the keys of FIRE (python-ismrmrd-server) and of Gadgetron alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import ismrmrd
import numpy as np
import torch

from smug_recon import __version__
from smug_recon.gadgets.flow.items import Reconstruction
from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.solve.fallback import CG_SENSE
from smug_recon.gadgets.solve.unroll import SMUG, UNCERTAINTY

TIMING = "SmugSeconds"
"""The one entry that differs from run to run."""


def attributes(item: Reconstruction, plan: Plan, model: Model, title: str = "") -> ismrmrd.Meta:
    """Return what a host shows, and what a reader needs to tell how the image came about."""
    series = description(item, plan, title)
    comments = "; ".join([_summary(item, plan), *item.notes])
    made_by = item.method or CG_SENSE if item.fallback else item.role
    history = ["SMUG-RECON", made_by] + (["PREWHITENED"] if item.whitened else [])
    if item.fallback:
        history.append("FALLBACK")
    centre, width = window(item)
    roles = ["Image"] + (["Uncertainty"] if item.role == UNCERTAINTY else [])
    roles += ["FALLBACK"] if item.fallback else []
    meta = ismrmrd.Meta()
    for prefix in ("", "GADGETRON_"):
        meta[f"{prefix}DataRole"] = roles
        meta[f"{prefix}ImageComment"] = comments
        meta[f"{prefix}SeriesDescription"] = series
        meta[f"{prefix}ImageProcessingHistory"] = history
        meta[f"{prefix}WindowCenter"] = centre
        meta[f"{prefix}WindowWidth"] = width
    meta["ImageComments"] = comments
    shown = SMUG if item.role == UNCERTAINTY else made_by
    meta["SequenceDescriptionAdditional"] = shown
    meta["GADGETRON_SeqDescription"] = shown
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
    if (bandwidth := pixel_bandwidth_hz(item, plan)) is not None:
        meta["SmugPixelBandwidthHz"] = f"{bandwidth:.6g}"
    if item.fallback:
        meta["SmugFallback"] = made_by
        meta["SmugFallbackReason"] = item.reason or "not told"
    if item.role in (SMUG, UNCERTAINTY):
        meta["SmugSeed"] = str(plan.pipeline.seed)
        meta["SmugSamples"] = str(plan.pipeline.samples)
        meta["SmugModel"] = model.card.name
        meta["SmugModelVersion"] = str(model.card.version)
        meta["SmugModelSha256"] = model.sha256
    device = item.device or str(model.device)
    meta["SmugDevice"] = device + gpu_name(device)
    meta["SmugPipeline"] = plan.pipeline.name
    meta["SmugPipelineSha256"] = plan.pipeline.sha256
    meta["SmugTorchVersion"] = str(torch.__version__)
    meta["SmugReconVersion"] = __version__
    return meta


def description(item: Reconstruction, plan: Plan, title: str) -> str:
    """Return the series description: that of the scan with the pipeline's appended."""
    ours = plan.pipeline.images.series_description
    suffix = {SMUG: ours, UNCERTAINTY: f"{ours} uncertainty"}.get(item.role, item.role)
    if item.fallback:
        suffix += f" FALLBACK {item.method or CG_SENSE}"
    return f"{title} {suffix}".strip()


def pixel_bandwidth_hz(item: Reconstruction, plan: Plan) -> float | None:
    """Return ``1 / (N dwell)``, N samples of the whole encoded readout with its oversampling; None without a dwell time."""
    dwell_us = float(item.head.sample_time_us)
    return 1e6 / (dwell_us * plan.encoded_xyz[0]) if dwell_us > 0 else None


def seconds_text(seconds: Mapping[str, float]) -> str:
    """Seconds per stage as ``network 0.812, coil maps 0.120``, the longest first, those below a millisecond left out."""
    longest = sorted(seconds.items(), key=lambda entry: -entry[1])
    shown = [entry for entry in longest if entry[1] >= 1e-3] or longest[:1]
    return ", ".join(f"{name} {spent:.3f}" for name, spent in shown)


@cache
def gpu_name(device: str) -> str:
    """The name of a GPU in brackets, as far as it can be told; nothing for a CPU."""
    if not device.startswith("cuda"):
        return ""
    try:
        return f" ({torch.cuda.get_device_name(device)})"
    except Exception:  # a GPU that is lost does not tell its name
        return ""


def window(item: Reconstruction) -> tuple[str, str]:
    """Return centre and width that show the image from zero to its 99.9th percentile."""
    assert item.pixels_yx is not None
    top = max(float(np.percentile(np.abs(item.pixels_yx), 99.9)), float(np.finfo(np.float32).tiny))
    if item.pixels_yx.dtype == np.uint16:
        width = max(2, round(top))
        return str(width // 2), str(width)
    return f"{top / 2:.6g}", f"{top:.6g}"


def _summary(item: Reconstruction, plan: Plan) -> str:
    made_by = f"{item.method or CG_SENSE} in place of {item.role}" if item.fallback else item.role
    return f"{made_by}, {item.sampled_lines} of {item.of_lines or plan.lines_y} lines, {item.coils} coils" + (
        "" if item.whitened else ", not prewhitened"
    )


def _direction(vector: Sequence[float]) -> list[str]:
    return [f"{float(part):.18f}" for part in vector]
