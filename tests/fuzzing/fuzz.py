"""Fuzzing from the command line: ``scripts/fuzz TARGET --runs N``, ``scripts/fuzz all --seconds S``.

Every target runs in a process of its own under atheris, from the corpus of the repository and what earlier runs have
found (``runs/fuzzing``): a run that is stopped is gone on with by calling it again. ``runs/fuzzing/log.jsonl`` gets a
line for every process: inputs, seconds, coverage, how it ended; ``scripts/fuzz report`` adds them up.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "runs" / "fuzzing"
SLICE_S = 300
"""With ``all`` the targets take turns of this length, in seconds."""
MEMORY_MB, HANG_S = 2048, 30
"""What one input may take: resident memory of the whole process, and time."""


def main() -> int:
    given = arguments()
    sys.path.insert(0, str(HERE))
    from fuzz_targets import TARGETS

    if given.target == "report":
        print(report())
        return 0
    names = list(TARGETS) if given.target == "all" else given.target.split(",")
    if unknown := sorted(set(names) - set(TARGETS)):
        print(f"unknown target {', '.join(unknown)}; there are {', '.join(TARGETS)}, all and report")
        return 2
    end = time.monotonic() + given.seconds if given.seconds else None
    done = dict.fromkeys(names, 0)
    while any(done[name] < given.runs for name in names):
        for name in names:
            left = given.seconds if end is None else max(end - time.monotonic(), 0)
            if done[name] >= given.runs or (end is not None and left < 1):
                done[name] = given.runs if end is not None and left < 1 else done[name]
                continue
            length = SLICE_S if len(names) > 1 else (left or 0)
            entry = one_process(name, given.runs - done[name], min(length, left or length))
            done[name] += max(entry["inputs"], 1)
            print(json.dumps(entry), flush=True)
    found = sorted(
        path for name in names for path in (WORK / name / "findings").glob("*") if path.suffix != ".bin"
    )
    for path in found:  # beside exceptions (.txt) what libFuzzer writes: timeout-, crash-, oom-
        what = path.read_text().splitlines()[0] if path.suffix == ".txt" else "see last.log"
        print(f"{path.relative_to(ROOT)}: {what}")
    return 1 if found else 0


def one_process(name: str, runs: int, seconds: float) -> dict:
    """Run libFuzzer once over one target and note what it did."""
    from fuzz_files import memory
    from fuzz_targets import TARGETS

    target, folder = TARGETS[name], WORK / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "findings").mkdir(exist_ok=True)
    words = folder / "words.dict"
    words.write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words)
    )
    command = [sys.executable, HERE / "fuzz_run.py", name, folder / "findings"]
    command += [
        f"-runs={runs}",
        f"-max_len={target.longest}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={HANG_S}",
        f"-report_slow_units={HANG_S}",
    ]
    command += [f"-max_total_time={max(int(seconds), 1)}"] if seconds else []
    command += [
        f"-dict={words}",
        f"-artifact_prefix={folder / 'findings'}/",
        "-print_final_stats=1",
        "-reload=0",
    ]
    command += [folder / "corpus", HERE / "corpus" / name]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smug-fuzz-", dir=memory()) as made:
        layout(Path(made))
        path = os.pathsep.join([made, str(HERE)])
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": "1",
            "SMUG_RECON_FUZZ_FOLDER": made,
        }
        ran = subprocess.run(
            list(map(str, command)),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=made,
        )
    said = ran.stdout.decode(errors="replace")
    (folder / "last.log").write_text(said[-200_000:])
    entry = {
        "target": name,
        "inputs": last_number(r"number_of_executed_units:\s+(\d+)", said) or last_number(r"^#(\d+)\s", said),
        "seconds": round(time.monotonic() - began, 1),
        "edges": last_number(r" cov: (\d+)", said),
        "features": last_number(r" ft: (\d+)", said),
        "corpus": last_number(r" corp: (\d+)", said),
        "peak_mb": last_number(r"peak_rss_mb:\s+(\d+)", said) or last_number(r" rss: (\d+)Mb", said),
        "exit": ran.returncode,
        "found": sorted(set(re.findall(r"^FOUND (.*)$", said, re.MULTILINE))),
    }
    if ran.returncode:
        entry["end"] = said[-2000:]
    with (WORK / "log.jsonl").open("a") as log:
        log.write(json.dumps(entry) + "\n")
    return entry


def layout(folder: Path) -> None:
    """The installed layout as links: an editable install maps the rooms where instrumentation does not reach."""
    package = folder / "smug_recon"
    package.mkdir()
    for entry in [*(ROOT / "src" / "smug_recon").iterdir()]:
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for entry in ROOT.iterdir():
        if (entry / "__init__.py").is_file():
            (package / entry.name).symlink_to(entry)


def last_number(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def report() -> str:
    """Inputs, time and coverage of all runs so far, target by target."""
    rows: dict[str, list[dict]] = {}
    for line in (WORK / "log.jsonl").read_text().splitlines():
        entry = json.loads(line)
        rows.setdefault(entry["target"], []).append(entry)
    lines = [
        "| target | inputs | hours | edges | corpus | peak MB | ended early |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entries in rows.items():
        total, hours = sum(e["inputs"] for e in entries), sum(e["seconds"] for e in entries) / 3600
        most = [max(e[key] for e in entries) for key in ("edges", "corpus", "peak_mb")]
        early = sum(e["exit"] != 0 for e in entries)
        lines.append(f"| {name} | {total} | {hours:.2f} | {most[0]} | {most[1]} | {most[2]} | {early} |")
    lines.append(f"| all | {sum(e['inputs'] for one in rows.values() for e in one)} | | | | | |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", help="a target, several with commas, all, or report")
    parser.add_argument("--runs", type=int, default=sys.maxsize, help="inputs to each target, at most")
    parser.add_argument("--seconds", type=float, default=0, help="time in total, at most")
    given = parser.parse_args()
    if given.target != "report" and given.runs == sys.maxsize and not given.seconds:
        parser.error("say when to stop: --runs N, or --seconds S")
    if given.target != "report":
        try:
            __import__("atheris")
        except ImportError:
            parser.error(
                "atheris is not installed: pip install 'smug-recon[fuzz]' (CPython 3.11 to 3.13 on Linux)"
            )
    return given


if __name__ == "__main__":
    sys.exit(main())
