"""One target under atheris, until libFuzzer has had enough: started by ``scripts/fuzz``, with libFuzzer's own options.

    python fuzz_run.py TARGET FINDINGS [libFuzzer options] CORPUS ...

An exception that is none of smug_recon.errors is kept, once for the place it comes from, in FINDINGS (the input, and
beside it the traceback), and the run goes on. A hang, a crash of the process and memory beyond the limit end it.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import traceback
import warnings
from pathlib import Path

import atheris


def main() -> None:
    name, findings, *options = sys.argv[1:]
    watched = ["smug_recon", "gadgetron", "ismrmrd", *(["yaml"] if name == "pipeline" else [])]
    with atheris.instrument_imports(include=watched, enable_loader_override=False):
        from fuzz_targets import TARGETS

        run = TARGETS[name].make()
        run(b"")  # what a target imports at its first input is instrumented as well
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder, known = Path(findings), set()

    def one(data: bytes) -> None:
        try:
            run(data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} {Path(place.filename).name}:{place.lineno}"
            if where not in known:
                known.add(where)
                keep(folder, where, data)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def keep(folder: Path, where: str, data: bytes) -> None:
    """Write an input that raised, and what it raised, under a name that the place decides."""
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(where.encode()).hexdigest()[:12]
    if not (folder / f"{name}.txt").exists():
        (folder / f"{name}.bin").write_bytes(data)
        (folder / f"{name}.txt").write_text(f"{where}\n\n{traceback.format_exc()}")
        print(f"FOUND {where} ({name})", flush=True)


if __name__ == "__main__":
    main()
