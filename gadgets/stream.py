"""The chain, top to bottom: readouts in, images out; one stage a file, each a generator over the one before.

    readouts ──whiten──crop──gather──▶ slices ──coils──unroll──▶ images ──scale──dress──▶ host

Whitening is linear and is applied to whole slices (``prewhiten.py``), so that a noise scan counts wherever it
arrives. Items that are not ours (waveforms, images, navigators ...) pass through at once, in their order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from smug_recon.gadgets.timing import Report

if TYPE_CHECKING:
    import gadgetron.external
    import ismrmrd

    from smug_recon.gadgets.header.plan import Plan
    from smug_recon.gadgets.maps.maps_ahead import MapsAhead
    from smug_recon.gadgets.read_on import ReadOn
    from smug_recon.gadgets.readouts.arrival import Arrival
    from smug_recon.gadgets.solve.guard import Guarded
    from smug_recon.gadgets.solve.model import Model
    from smug_recon.pipeline import Pipeline

log = logging.getLogger(__name__)

Solve: TypeAlias = "Callable[[Iterable[Any], Plan, Guarded, Report], Iterator[Any]]"
"""Makes complex images of slices; what else comes by passes in its order."""


def reconstruct(
    connection: gadgetron.external.Connection,
    load: Callable[[Path, str, str], Model] | None = None,
    solve: Solve | None = None,
) -> None:
    """Reconstruct the scan that a host sends: the target of a Gadgetron node, of execute and connect alike.

    Pipeline, header, model and device are checked before the first readout; every failure reaches the host as
    text. ``load`` gives the model of a file, a hash and a device, where a process keeps it from scan to scan;
    ``solve`` stands in for :func:`through_the_network`.
    """
    from smug_recon.gadgets.wire.connection import session
    from smug_recon.gadgets.wire.spooled import spooled

    with spooled() as spool, session(connection) as host:
        from smug_recon.gadgets.early import load_and_warm_up, prepare_while_reading
        from smug_recon.gadgets.observer import observer_of_environment
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
        solve: stands in for :func:`through_the_network`: where the images have been made elsewhere.

    Raises:
        ConfigurationError, ModelError, HeaderError: before the first item is read.
        StreamError, DataError: while reading; DataError too for lines of which no image came.
    """
    import ismrmrd

    from smug_recon.errors import DataError
    from smug_recon.gadgets.header.units import correct_units
    from smug_recon.gadgets.read_on import ReadOn
    from smug_recon.gadgets.readouts.slice_partitions import put_right

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
    from smug_recon.gadgets.solve.absent import model_of
    from smug_recon.gadgets.solve.guard import warmed_up

    build_plan(header, pipeline)  # the header first: it costs nothing
    model = model or model_of(pipeline)
    plan = build_plan(header, pipeline, model.card)
    if model.device.type == "cuda":  # twice: TorchScript compiles at the second run; on a CPU it does not pay
        model = warmed_up(model, (plan.coils or 8, *plan.image_yx, pipeline.samples))
    if moved := getattr(model, "moved", ""):
        plan = replace(plan, warnings=(*plan.warnings, moved))
    return plan, model


def chain(
    items: Iterable[Any],
    plan: Plan,
    model: Model,
    header: ismrmrd.xsd.ismrmrdHeader,
    report: Report,
    arrival: Arrival | None = None,
    reading: ReadOn | None = None,
    solve: Solve | None = None,
) -> Iterator[Any]:
    """Compose the stages; ``reading`` runs those up to gathering in a thread of its own."""
    from smug_recon.gadgets.images.dress import dress
    from smug_recon.gadgets.images.scale import scale
    from smug_recon.gadgets.maps.maps_ahead import MapsAhead
    from smug_recon.gadgets.solve.guard import Guarded

    timed, network = report.timed, Guarded.of(model, report)
    ahead = MapsAhead(plan) if solve is None else None
    stream = before_the_network(items, plan, network, header, report, arrival, ahead, reading)
    stream = (solve or partial(through_the_network, ahead=ahead))(stream, plan, network, report)
    stream = timed("scale", scale(report.observer.finished(stream), plan, report))
    try:
        yield from timed("dress", dress(stream, plan, model, title(header), report))
    finally:
        if ahead is not None:
            ahead.close()


def before_the_network(
    items: Iterable[Any],
    plan: Plan,
    network: Guarded,
    header: ismrmrd.xsd.ismrmrdHeader,
    report: Report,
    arrival: Arrival | None = None,
    ahead: MapsAhead | None = None,
    reading: ReadOn | None = None,
) -> Iterator[Any]:
    """Compose the stages from readouts to slices; what they find out is of the whole scan."""
    from smug_recon.gadgets.header.trained_range import compare_with_training
    from smug_recon.gadgets.readouts.virtual_coils import compress_coils
    from smug_recon.gadgets.solve.slab import split

    timed = report.timed
    stream = gathered(items, plan, header, report, arrival, ahead, reading)
    stream = timed("coil compression", compress_coils(stream, plan, report))
    stream = timed("slab", split(stream, plan, network, report))
    return timed("trained range", compare_with_training(stream, plan, network.card, report))


def through_the_network(
    stream: Iterable[Any], plan: Plan, network: Guarded, report: Report, ahead: MapsAhead | None = None
) -> Iterator[Any]:
    """Compose the stages from slices to complex images, each of which depends on its own slice alone."""
    from smug_recon.gadgets.images.echo import complete_echoes
    from smug_recon.gadgets.images.matrix import to_recon_matrix
    from smug_recon.gadgets.images.partial_fourier import complete
    from smug_recon.gadgets.maps.coils import coil_maps
    from smug_recon.gadgets.solve.unroll import unroll

    timed = report.timed
    stream = timed("coil maps", coil_maps(stream, plan, report, ahead))
    stream = timed("network", unroll(stream, plan, network, report))
    stream = timed("partial Fourier", complete(stream, plan))
    stream = timed("echo", complete_echoes(stream, plan))
    return timed("matrix", to_recon_matrix(stream, plan))


def gathered(
    items: Iterable[Any],
    plan: Plan,
    header: ismrmrd.xsd.ismrmrdHeader,
    report: Report,
    arrival: Arrival | None = None,
    ahead: MapsAhead | None = None,
    reading: ReadOn | None = None,
) -> Iterator[Any]:
    """Compose the stages from readouts to whitened slices; training on measured scans goes through them as well."""
    from smug_recon.gadgets.header.units import watch_dwell_times
    from smug_recon.gadgets.maps.reference_scan import ReferenceScan
    from smug_recon.gadgets.readouts.arrival import Arrival
    from smug_recon.gadgets.readouts.complete_lines import CompleteLines, assemble_slices
    from smug_recon.gadgets.readouts.gather import gather
    from smug_recon.gadgets.readouts.noise_scan import NoiseScan
    from smug_recon.gadgets.readouts.oversampling import remove_oversampling
    from smug_recon.gadgets.readouts.prewhiten import prewhiten
    from smug_recon.gadgets.readouts.slice_end import SliceEnd
    from smug_recon.gadgets.readouts.surface_coil import unflag_if_all
    from smug_recon.gadgets.readouts.virtual_coils import leave_out_silent

    arrival, noise, timed = arrival or Arrival(), NoiseScan(report), report.timed
    if ahead is not None:
        ahead.noise = noise

    def settled(stream: Iterable[Any]) -> Iterator[Any]:
        for item in stream:
            if isinstance(item, CompleteLines):  # what comes later counts for later slices only
                noise.settle(plan)
                reference.settle(item.key)
            yield item

    items = items if reading is None else reading.watched(items)
    stream = timed("receive", watch_dwell_times(items, report))
    stream = timed("noise scan", noise.collect(arrival.watch(stream)))
    reference = ReferenceScan(header, plan, report)
    stream = timed("reference scan", reference.collect(stream))
    stream = timed("flags", unflag_if_all(stream, report))
    stream = timed("readout", remove_oversampling(stream, plan, report))
    lines = gather(stream, plan, arrival, SliceEnd.of(header, plan), report, ahead)
    stream = settled(timed("gather", lines))
    stream = stream if reading is None else reading.items(stream)
    stream = timed("assemble", assemble_slices(stream, plan, report))
    stream = timed("reference scan", reference.attach(stream))
    stream = timed("channels", leave_out_silent(stream, report))
    return timed("prewhiten", prewhiten(stream, noise, plan))


def title(header: ismrmrd.xsd.ismrmrdHeader) -> str:
    """Return the series description of the scan, else its protocol name, else nothing."""
    about = header.measurementInformation
    return ((about.seriesDescription or about.protocolName or "") if about else "").strip()
