"""Speaks like ``smug_recon.archive.process`` and does next to nothing: the raw file says how it behaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        raw, out = Path(request["raw"]), Path(request["out"])
        content = (raw / "stream.mrd").read_bytes() if raw.is_dir() else raw.read_bytes()
        word = content.removeprefix(SIGNATURE).split()[:1]
        what = word[0].decode() if word else "image"
        out.mkdir(parents=True)
        (out / "node.log").write_text(f"{what}\n")
        if what == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "once":  # dies at the first attempt
            mark = raw.with_suffix(".tried")
            if not mark.exists():
                mark.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
        if what == "hang":
            time.sleep(600)
        if what == "worker":  # takes the worker with it
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(5)
            return
        if what == "slow":
            time.sleep(0.2)
        if request.get("parts", 1) > 1 and what != "fail":
            (out / "part.npz").write_bytes(content)
            print(json.dumps({"slices": 1}), flush=True)
            continue
        (out / "images.h5").write_bytes(b"images of " + content)
        if what == "fail":
            error = {
                "kind": "DataError",
                "found": f"a hole in {raw}",
                "expected": "lines",
                "remedy": f"see {out}/node.log",
            }
            print(json.dumps({"error": error}), flush=True)
            continue
        (out / "dicom").mkdir()
        (out / "dicom" / "1.dcm").write_bytes(content[::-1])
        answer = {
            "images": 3,
            "series": {"images_1": 3},
            "acquisitions": 5,
            "fallbacks": int(what == "fallback"),
            "fallback_reasons": {"out of <b>memory</b>": 1} if what == "fallback" else {},
            "warnings": ["no noise scan"],
            "warnings_more": 0,
            "cut": "",
            "seconds": 0.5,
            "last": what == "last",
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
