"""``smug-recon check PIPELINE [--raw RAW]``."""

import typer

from smug_recon.options import PIPELINE_HELP, Device, Group, Noise, Settings, overrides


def command(
    pipeline: str = typer.Argument("smug-cartesian", help=PIPELINE_HELP),
    raw: str = typer.Option(None, "--raw", help="Raw scan to check as well: ISMRMRD HDF5 or stream."),
    group: Group = None,
    noise: Noise = None,
    device: Device = None,
    settings: Settings = None,
) -> None:
    """Check pipeline, model, device and raw scan before any data flow, and say what would be run."""
    from smug_recon.pipeline import load_pipeline

    chosen = load_pipeline(pipeline).with_overrides(overrides(settings, device))

    from smug_recon.gadgets.header.plan import build_plan

    if chosen.spool.folder is not None:
        from smug_recon.spool import SpoolFolder

        SpoolFolder(chosen.spool).check()
    plan = found = None
    if raw is not None:
        from smug_recon.gadgets.survey.heads import survey
        from smug_recon.replay.messages.header import parse_header
        from smug_recon.replay.reading.heads import read_heads
        from smug_recon.replay.reading.noise import heads_with_noise

        header_xml, heads = read_heads(raw, group)
        header, _ = parse_header(header_xml)
        heads = heads_with_noise(raw, group, header, heads, noise)
        plan = build_plan(header, chosen)
        found = survey(heads, plan, header)

    from smug_recon.gadgets.model.file import load_model
    from smug_recon.gadgets.survey.summary import summary

    model = load_model(chosen.model_path, chosen.model.sha256, chosen.device)
    if plan is not None:
        plan = build_plan(header, chosen, model.card)
    typer.echo(summary(chosen, model, plan, found))
