"""``smug-recon serve [--host 127.0.0.1] [--port 9020]``."""

from pathlib import Path

import typer

from smug_recon.options import Send, Verbose


def command(
    host: str = typer.Option("127.0.0.1", help="Address to listen on; the default is this machine only."),
    port: int = typer.Option(9020, min=0, max=65535, help="Port; 0 takes a free one and says which."),
    sessions: int = typer.Option(
        4, min=1, max=64, help="Sessions at once; further ones are told so and closed."
    ),
    allow: list[str] = typer.Option(
        [], help="Address or network that may connect; several times. All by default."
    ),
    configs: Path = typer.Option(
        None, exists=True, file_okay=False, help="Folder with further YAML and XML files."
    ),
    alias: list[str] = typer.Option([], metavar="NAME=CONFIG", help="A further name of a configuration."),
    idle: float = typer.Option(600.0, help="Longest pause of a host between two messages, in seconds."),
    stall: float = typer.Option(120.0, help="Longest pause within a message, or in taking ours, in seconds."),
    grace: float = typer.Option(30.0, help="After SIGTERM: seconds for running sessions to finish."),
    message_bytes: int = typer.Option(1 << 30, help="Longest message."),
    status_port: int = typer.Option(None, min=0, max=65535, help="Port of /health, /ready and /metrics."),
    status_host: str = typer.Option(
        "127.0.0.1", help="Address of the status port; the default is this machine only."
    ),
    web: int = typer.Option(
        None, min=0, max=65535, help="Port of the live page: sessions, images, timings; read-only."
    ),
    web_host: str = typer.Option(
        "127.0.0.1", help="Address of the live page; the default is this machine only."
    ),
    web_images: bool = typer.Option(True, help="Whether the live page shows images and reports."),
    send: Send = None,
    spool: Path = typer.Option(
        None, file_okay=False, help="Folder that keeps the raw data of every session, for smug-recon replay."
    ),
    spool_gigabytes: float = typer.Option(50.0, min=0.001, help="All spools together, at most."),
    spool_session_gigabytes: float = typer.Option(20.0, min=0.001, help="The spool of one session, at most."),
    spool_days: float = typer.Option(
        7.0, min=0.0, help="Then spools of sessions that went well are removed."
    ),
    verbose: Verbose = False,
) -> None:
    """Serve MRD sessions of FIRE, OpenRecon, gadgetron_ismrmrd_client and Gadgetron <connect>.

    Exit code 0 when all sessions could finish after SIGTERM or Ctrl-C, 1 when one had to be handed back.
    """
    import logging
    import os
    import signal
    import sys

    from smug_recon.gadgets.wire.protocol import Limits
    from smug_recon.pipeline import SpoolSettings, parse_settings
    from smug_recon.scanner.catalogue import Catalogue
    from smug_recon.scanner.house import House, Settings
    from smug_recon.scanner.server import Server

    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.DEBUG if verbose else logging.INFO
    )
    kept = None
    if spool is not None:
        kept = SpoolSettings(
            folder=spool.absolute(),
            gigabytes=spool_gigabytes,
            session_gigabytes=spool_session_gigabytes,
            days=spool_days,
        )
    settings = Settings(
        host=host,
        port=port,
        sessions=sessions,
        allow=tuple(allow),
        idle_s=idle,
        grace_s=grace,
        status_port=status_port,
        status_host=status_host,
        spool=kept,
        limits=Limits(
            message_bytes=message_bytes, stall_seconds=stall, drain_seconds=60.0, drain_idle_seconds=10.0
        ),
    )
    house = House(settings, Catalogue(configs, parse_settings(alias)))
    server = Server(house)
    if web is not None:
        from smug_recon.web import LivePage

        LivePage(house, web, web_host, web_images)  # to the end: it shows how the last sessions finish
    forwarder = None
    if send is not None:
        from smug_recon.pacs import load_destination
        from smug_recon.scanner.forwarding import Forwarder

        forwarder = Forwarder(load_destination(send))
        house.onlookers.add(forwarder)
        house.metrics.more.append(forwarder.families)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: server.close_door())
    server.start()
    server.serve()
    finished = server.stop()
    if forwarder is not None:
        forwarder.close(grace)
    logging.info("stopped")
    logging.shutdown()
    sys.stderr.flush()
    os._exit(0 if finished else 1)  # a session that is deep in the network does not keep the process
