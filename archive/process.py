"""The process that reconstructs: ``python -m smug_recon.archive.process``, one scan after the other, warm from the second on.

A request is a line of JSON on standard input, an answer one on standard output. What a library prints goes to ``node.log``.
Whatever a damaged file does to this process, the worker that started it lives on and says what happened.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smug_recon.errors import SmugReconError

MOST_WARNINGS, MOST_LETTERS = 20, 300
"""Warnings of a scan that are kept, and letters of each."""
LONGEST_TEXT = 1500
"""Letters of an error."""


def main() -> None:
    """Answer until standard input ends."""
    from smug_recon.archive.kept import Models

    faulthandler.enable(file=2)
    answers = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    models = Models()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        said = os.dup(2)
        try:
            answer = answered(request, models)
        finally:
            sys.stderr.flush()
            os.dup2(said, 2)
            os.dup2(said, 1)
            os.close(said)
        os.write(answers, json.dumps(answer).encode() + b"\n")
        if answer.get("last"):
            return


def answered(request: Mapping[str, Any], models: Any) -> dict[str, Any]:
    """Reconstruct what a request names; what came of it, or ``error`` with what was found, expected and can be done."""
    out = Path(request["out"])
    out.mkdir(parents=True, exist_ok=True)
    with (out / "node.log").open("ab") as log_file:
        os.dup2(log_file.fileno(), 2)
        os.dup2(log_file.fileno(), 1)
    tempfile.tempdir = request["scratch"]
    began = time.perf_counter()
    try:
        made = made_part(request, models) if request.get("parts", 1) > 1 else reconstructed(request, models)
        return {**made, "seconds": round(time.perf_counter() - began, 3)}
    except SmugReconError as error:
        return {"error": told(type(error).__name__, error.found, error.expected, error.remedy)}
    except Exception as error:
        logging.getLogger(__name__).exception("the scan failed")
        kind = type(error).__name__
        return {"error": told(kind, str(error) or kind, "images", "read node.log; if it is a bug, report it")}


def told(kind: str, found: str, expected: str, remedy: str) -> dict[str, str]:
    """An error as plain data of bounded length."""
    texts = {"kind": kind, "found": found, "expected": expected, "remedy": remedy}
    return {name: text[:LONGEST_TEXT] for name, text in texts.items()}


def made_part(request: Mapping[str, Any], models: Any) -> dict[str, Any]:
    """Make one part of a large scan; any error of ``errors.py``."""
    from smug_recon.archive.parts import make_part

    return make_part(request, models)


def reconstructed(request: Mapping[str, Any], models: Any) -> dict[str, Any]:
    """Replay one scan with a model that is kept, put together from ``request["joined"]`` if there are parts; any error."""
    from smug_recon.archive.kept import KeptNode, session_with
    from smug_recon.archive.thumbnail import write_thumbnail
    from smug_recon.replay import replay
    from smug_recon.replay.host.node import Node

    nodes: list[KeptNode] = []
    solve = None
    if request.get("joined"):
        from smug_recon.archive.parts import read_parts

        solve = read_parts(request["joined"]).solve

    def start(log_file: Path, module: str, target: str, environment: Mapping[str, str]) -> Any:
        if target != "reconstruct":  # a spool of Gadgetron's C++ front end: its node is started for it
            return Node(log_file.with_name("front_end.log"), module, target, environment)
        nodes.append(KeptNode(log_file, session_with(models, solve), environment))
        return nodes[-1]

    out, wanted = Path(request["out"]), request["wanted"]
    result = replay(
        request["raw"],
        out,
        request["pipeline"],
        overrides=request["overrides"],
        dicom=wanted["dicom"],
        preview=wanted["preview"],
        nifti=wanted["nifti"],
        dicom_options={"multiframe": wanted["enhanced"], "anonymise": wanted["anonymise"]},
        patience_s=request["patience_s"],
        start=start,
        load=models.load,
    )
    write_thumbnail(result.images, list(result.series), out / "thumb.png")
    timing = result.timing
    warnings = [str(text)[:MOST_LETTERS] for text in timing.get("warnings", [])]
    return {
        "images": sum(result.series.values()),
        "series": dict(result.series),
        "acquisitions": result.acquisitions,
        "fallbacks": result.fallbacks,
        "fallback_reasons": dict(list(timing.get("fallback_reasons", {}).items())[:MOST_WARNINGS]),
        "warnings": warnings[:MOST_WARNINGS],
        "warnings_more": max(len(warnings) - MOST_WARNINGS, 0),
        "cut": result.cut,
        "last": any(node.stuck for node in nodes),
    }


if __name__ == "__main__":
    main()
