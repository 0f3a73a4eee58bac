"""The Gadgetron configurations, copied to where a Gadgetron looks for them."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from smug_recon.errors import ConfigurationError
from smug_recon.pipeline import shipped_folder

CONFIGS = Path("share/gadgetron/config")
NEW, SAME, UPDATED, KEPT = "new", "already there", "replaced", "kept: it differs from ours"


@dataclass(frozen=True)
class Copied:
    """One file and what was done with it."""

    path: Path
    what: str


def configurations() -> list[Path]:
    """The Gadgetron configurations that come with the package."""
    return sorted(shipped_folder().glob("*.xml"))


def find_home(home: Path | None = None) -> Path:
    """The prefix of a Gadgetron: the one given, else GADGETRON_HOME, CONDA_PREFIX, that of ``gadgetron`` on PATH.

    ConfigurationError when there is no share/gadgetron/config in it.
    """
    if home is not None:
        candidates = [home]
    else:
        program = shutil.which("gadgetron")
        named = [
            Path(os.environ[name]) for name in ("GADGETRON_HOME", "CONDA_PREFIX") if os.environ.get(name)
        ]
        candidates = [*named, *([Path(program).resolve().parents[1]] if program else []), Path(sys.prefix)]
    for candidate in candidates:
        if (candidate / CONFIGS).is_dir():
            return candidate
    raise ConfigurationError(
        f"no {CONFIGS} in {', '.join(str(candidate) for candidate in candidates)}",
        "the folder that Gadgetron was installed to",
        "give it with --home, the same folder as gadgetron --home",
    )


def install(home: Path, force: bool = False) -> list[Copied]:
    """Copy the configurations; a file of that name with other content is left alone unless ``force``.

    With ``force`` the file there is kept beside the new one as NAME.xml.before.
    """
    done = []
    for source in configurations():
        target, what = find_home(home) / CONFIGS / source.name, NEW
        content = source.read_bytes()
        if target.exists():
            if target.read_bytes() == content:
                done.append(Copied(target, SAME))
                continue
            if not force:
                done.append(Copied(target, KEPT))
                continue
            shutil.copy2(target, target.with_name(f"{target.name}.before"))
            what = UPDATED
        try:
            part = target.with_name(f".{target.name}.part")
            part.write_bytes(content)
            part.replace(target)
        except OSError as error:
            raise ConfigurationError(
                f"{target}, which cannot be written ({error.strerror})",
                "a folder that you may write to",
                "run the command as the user who installed Gadgetron",
            ) from None
        done.append(Copied(target, what))
    return done
