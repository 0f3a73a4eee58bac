"""What would be run, in a few lines of text: pipeline, model, device; scan and readouts if known."""

from __future__ import annotations

import torch

from smug_recon.gadgets.header.plan import Plan
from smug_recon.gadgets.model.file import Model
from smug_recon.gadgets.survey.heads import Survey
from smug_recon.pipeline import Pipeline


def summary(pipeline: Pipeline, model: Model, plan: Plan | None = None, found: Survey | None = None) -> str:
    """One line a fact, names on the left; warnings last. No patient data."""
    card = model.card
    rows = [
        ("pipeline", pipeline.name),
        (
            "model",
            f"{card.name} {card.version} ({card.method}, {card.steps} steps, {card.parameters} parameters)",
        ),
        ("", f"{pipeline.model_path}, SHA-256 {model.sha256}"),
        ("trained on", card.range_text()),
        ("device", device_name(model.device)),
        (
            "smoothing",
            f"{pipeline.samples} copies, sigma {card.sigma:g}, {card.sampling}, seed {pipeline.seed}",
        ),
        ("images", image_text(pipeline)),
        ("fallback", fallback_text(pipeline)),
        ("raw data", spool_text(pipeline)),
    ]
    if plan is not None:
        rows += scan_rows(plan)
    if found is not None:
        rows += readout_rows(found, pipeline)
    warnings = [] if plan is None else [*plan.warnings]
    if found is not None:
        warnings += [*found.warnings, *card.few_calibration_lines(found.calibration[0])]
    rows += [("warning", text) for text in dict.fromkeys(warnings)]
    return "\n".join(f"{name:<12}{text}" for name, text in rows)


def scan_rows(plan: Plan) -> list[tuple[str, str]]:
    """What the header says."""
    columns, lines, _ = plan.encoded_xyz
    fov_x, fov_y, _ = plan.encoded_fov_mm
    recon_x, recon_y, _ = plan.recon_xyz
    leaving = f" x {plan.slab.images}" if plan.lines_z > 1 else ""
    depth = f" x {plan.lines_z} partitions" if plan.lines_z > 1 else ""
    images = [("slices", plan.slices), ("contrasts", plan.contrasts), ("phases", plan.phases)]
    images += [("repetitions", plan.repetitions), ("sets", plan.sets), ("averages", plan.averages)]
    return [
        (
            "encoded",
            f"{columns} x {lines}{depth} (readout x phase), {fov_x:g} x {fov_y:g} mm, centre line {plan.centre_y}",
        ),
        ("network", f"{plan.readout_x} x {plan.lines_y} after readout oversampling is removed"),
        ("image", f"{recon_x} x {recon_y}{leaving}, {plan.recon_fov_mm[0]:g} x {plan.recon_fov_mm[1]:g} mm"),
        ("header", ", ".join(f"{count} {name}" for name, count in images if count > 1 or name == "slices")),
        ("", f"acceleration {plan.acceleration_y:g}, calibration {plan.calibration}"),
    ]


def readout_rows(found: Survey, pipeline: Pipeline) -> list[tuple[str, str]]:
    """What the readouts say."""
    noise = (
        f"{found.noise_readouts} readouts" if found.noise_readouts else "none: the coils are not prewhitened"
    )
    if not pipeline.prewhitening:
        noise += ", not used (prewhitening: false)"
    rows = [
        ("readouts", f"{found.readouts} of {found.coils} coils x {found.samples} samples"),
        ("slices", f"{found.slices} slices, {found.images} images"),
        ("lines", f"{_span(found.lines)} sampled per image, acceleration {found.acceleration:.2f}"),
        ("calibration", f"{_span(found.calibration)} lines about the k-space centre"),
        ("noise scan", noise),
    ]
    if found.reference_readouts:
        rows.append(
            ("reference", f"{found.reference_readouts} readouts of an external scan, for the coil maps")
        )
    if found.passed_on:
        rows.append(("passed on", f"{found.passed_on} readouts that carry no image line"))
    return rows


def image_text(pipeline: Pipeline) -> str:
    """Type and series of the images that leave."""
    images = pipeline.images
    further = ["CG-SENSE as a second series"] * images.conventional
    further += ["the uncertainty as a third"] * images.uncertainty
    second = f", then {', '.join(further)}" if further else ""
    kind = {
        "uint16": f"uint16 magnitude up to {images.peak}",
        "float32": "float32 magnitude",
        "complex64": "complex64",
    }
    return f"{kind[images.type]}, series {images.series_description!r}{second}"


def fallback_text(pipeline: Pipeline) -> str:
    """What stands in for the network, and when."""
    strict = " or the scan lies outside the trained range (strict)" if pipeline.strict else ""
    refused = ", without a model too" if pipeline.without_model == "conventional" else ""
    return f"CG-SENSE, then root-sum-of-squares, where the network fails{strict}{refused}"


def spool_text(pipeline: Pipeline) -> str:
    """Where the raw data are kept, and how long."""
    spool = pipeline.spool
    if spool.folder is None:
        return "not kept (spool.folder)"
    return f"kept in {spool.folder}, at most {spool.gigabytes:g} GB, {spool.days:g} days"


def device_name(device: torch.device) -> str:
    """The device, a GPU with its name, a CPU with its threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"


def _span(span: tuple[int, int]) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]} to {span[1]}"
