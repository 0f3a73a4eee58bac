"""One scan from the host that sends it to the account of what came of it: prepared, reconstructed, sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smug_recon.gadgets.flow.timing import Report

if TYPE_CHECKING:
    import gadgetron.external
    import ismrmrd

    from smug_recon.gadgets.header.plan import Plan
    from smug_recon.gadgets.model.file import Model
    from smug_recon.gadgets.readouts.arrival import Arrival
    from smug_recon.gadgets.stream import Solve
    from smug_recon.pipeline import Pipeline


def reconstruct(
    connection: gadgetron.external.Connection,
    load: Callable[[Path, str, str], Model] | None = None,
    solve: Solve | None = None,
) -> None:
    """Reconstruct the scan that a host sends: the target of a Gadgetron node, of execute and connect alike.

    Pipeline, header, model and device are checked before the first readout; every failure reaches the host as
    text. ``load`` gives the model of a file, a hash and a device, where a process keeps it from scan to scan;
    ``solve`` stands in for :func:`smug_recon.gadgets.stream.through_the_network`.
    """
    from smug_recon.gadgets.wire.connection import session
    from smug_recon.gadgets.wire.spooled import spooled

    with spooled() as spool, session(connection) as host:
        from smug_recon.gadgets.early import load_and_warm_up, prepare_while_reading
        from smug_recon.gadgets.flow.observer import observer_of_environment
        from smug_recon.pipeline import pipeline_of

        spool.listen(host)
        pipeline, report = pipeline_of(host.config), Report(observer_of_environment())
        spool.settled(pipeline, report)
        watch = report.observer.arriving
        ready = partial(load_and_warm_up, host, pipeline, load)
        model, items = report.call(
            "prepare", lambda: prepare_while_reading(host, pipeline, ready, watch=watch)
        )
        run(items, host.send, host.header, pipeline, model, report, halt=host.halt, solve=solve)


def run(
    items: Iterable[Any],
    send: Callable[[Any], None],
    header: ismrmrd.xsd.ismrmrdHeader,
    pipeline: Pipeline,
    model: Model | None = None,
    report: Report | None = None,
    arrival: Arrival | None = None,
    halt: Callable[[bool], None] | None = None,
    solve: Solve | None = None,
) -> Report:
    """Reconstruct one scan: iterate the items, send what comes out, return the account of it.

    Args:
        items: acquisitions and anything else, from a connection, a file, a list.
        send: called with every image and with every item that is not ours.
        header: the MRD header of the scan.
        pipeline: the settings.
        model: the loaded model, if the caller has it already.
        report: the account to continue, if the caller has begun one.
        arrival: how to tell what has arrived, where readouts do not come one by one.
        halt: lets the items be read, transformed and gathered in a thread of their own while slices are reconstructed, and
            makes a wait for the next item end (True), or possible again (False).
        solve: stands in for :func:`smug_recon.gadgets.stream.through_the_network`: where the images have been made elsewhere.

    Raises:
        ConfigurationError, ModelError, HeaderError: before the first item is read.
        StreamError, DataError: while reading; DataError too for lines of which no image came.
    """
    import ismrmrd

    from smug_recon.errors import DataError
    from smug_recon.gadgets.header.units import correct_units
    from smug_recon.gadgets.read_on import ReadOn
    from smug_recon.gadgets.readouts.slice_partitions import put_right
    from smug_recon.gadgets.stream import chain

    report = report or Report()
    reading = ReadOn(report, halt) if halt is not None else None
    header, slips = correct_units(header)
    for text in slips:
        report.warn(text)
    try:
        plan, model = report.call("prepare", prepare, header, pipeline, model)
        for text in plan.warnings:
            report.warn(text)
        items, plan, header = put_right(items, plan, header, report, arrival)
        images = 0
        for item in chain(items, plan, model, header, report, arrival, reading, solve):
            images += isinstance(item, ismrmrd.Image)
            if goes_back(item, pipeline):
                report.call("send", send, item)
            else:
                report.leave_out(type(item).__name__)
        if report.lines and not images:
            raise DataError(
                f"no image from {report.lines} lines", "at least one slice", "read the warnings above"
            )
    finally:
        if reading is not None:
            reading.close()
        report.finish()
    return report


def goes_back(item: Any, pipeline: Pipeline) -> bool:
    """Whether an item is sent: everything, or with ``pass_on: images`` images only (ours and those passing by)."""
    import ismrmrd

    return pipeline.pass_on == "all" or isinstance(item, ismrmrd.Image)


def prepare(header: ismrmrd.xsd.ismrmrdHeader, pipeline: Pipeline, model: Model | None) -> tuple[Plan, Model]:
    """Check header and model against each other and warm the model up, before any data flow."""
    from smug_recon.gadgets.header.plan import build_plan
    from smug_recon.gadgets.model.absent import model_of
    from smug_recon.gadgets.model.guard import warmed_up

    build_plan(header, pipeline)  # the header first: it costs nothing
    model = model or model_of(pipeline)
    plan = build_plan(header, pipeline, model.card)
    if model.device.type == "cuda":  # twice: TorchScript compiles at the second run; on a CPU it does not pay
        model = warmed_up(model, (plan.coils or 8, *plan.image_yx, pipeline.samples))
    if moved := getattr(model, "moved", ""):
        plan = replace(plan, warnings=(*plan.warnings, moved))
    return plan, model
