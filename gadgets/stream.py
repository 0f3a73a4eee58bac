"""The chain, top to bottom: readouts in, images out; one stage a file, each a generator over the one before.

    readouts ──whiten──crop──gather──▶ slices ──coils──unroll──▶ images ──scale──dress──▶ host

Whitening is linear and is applied to whole slices (``prewhiten.py``), so that a noise scan counts wherever it
arrives. Items that are not ours (waveforms, images, navigators ...) pass through at once, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from smug_recon.gadgets.flow.timing import Report

if TYPE_CHECKING:
    import ismrmrd

    from smug_recon.gadgets.header.plan import Plan
    from smug_recon.gadgets.maps.maps_ahead import MapsAhead
    from smug_recon.gadgets.model.file import Model
    from smug_recon.gadgets.model.guard import Guarded
    from smug_recon.gadgets.read_on import ReadOn
    from smug_recon.gadgets.readouts.arrival import Arrival

Solve: TypeAlias = "Callable[[Iterable[Any], Plan, Guarded, Report], Iterator[Any]]"
"""Makes complex images of slices; what else comes by passes in its order."""


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
    from smug_recon.gadgets.model.guard import Guarded

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
    from smug_recon.gadgets.volumes.slab import split

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
