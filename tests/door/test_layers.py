"""The layer rule of docs/architecture.md, read from the imports of every file."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "ismrmrd",
    "h5py",
    "pydicom",
    "gadgetron",
    "sigpy",
    "yaml",
    "pydantic",
    "typer",
    "tqdm",
    "PIL",
    "torchmetrics",
}
ALLOWED: dict[str, set[str]] = {
    "physics": {"physics"},
    "calibration": {"calibration", "errors"},
    "network": {"network", "physics", "errors"},
    "simulation": {"simulation", "physics", "errors"},
    "spool": {"spool", "pipeline", "errors", ""},
    "gadgets": {
        "gadgets",
        "spool",
        "physics",
        "calibration",
        "pipeline",
        "configuration",
        "errors",
        "whole_file",
        "",
    },
    "training": {
        "training",
        "network",
        "calibration",
        "physics",
        "simulation",
        "gadgets",
        "replay",
        "pipeline",
        "errors",
        "whole_file",
        "",
    },
    "robustness": {
        "robustness",
        "network",
        "training",
        "calibration",
        "physics",
        "simulation",
        "scheduler",
        "errors",
        "",
    },
    "dicom": {"dicom", "errors", "whole_file", ""},
    "pacs": {"pacs", "errors", ""},
    "replay": {
        "replay",
        "spool",
        "gadgets",
        "dicom",
        "pipeline",
        "configuration",
        "errors",
        "whole_file",
        "",
    },
    "pages": {"pages"},
    "report": {"report", "pages", "replay", "dicom", "errors", "whole_file", ""},
    "scanner": {
        "scanner",
        "spool",
        "gadgets",
        "replay",
        "dicom",
        "pacs",
        "pipeline",
        "configuration",
        "errors",
        "",
    },
    "web": {"web", "pages", "scanner", "replay", "gadgets", "pipeline", "errors", ""},
    "benchmarks": {
        "archive",
        "benchmarks",
        "calibration",
        "gadgets",
        "network",
        "physics",
        "pipeline",
        "replay",
        "simulation",
        "spool",
        "training",
        "errors",
        "",
    },
    "archive": {
        "archive",
        "pages",
        "gadgets",
        "replay",
        "spool",
        "dicom",
        "pipeline",
        "configuration",
        "scheduler",
        "errors",
        "",
    },
    "pipelines": set(),
}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, at the top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert getattr(node, "level", 0) < 2, f"{path.name}: a relative import that leaves its room"
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:  # relative imports stay in their room
            found |= (
                {f"{node.module}.{name.name}" for name in node.names}
                if node.module == "smug_recon"
                else {str(node.module)}
            )
    return found


def files() -> list[tuple[str, Path]]:
    return [(room, path) for room in ALLOWED for path in sorted((ROOT / room).glob("**/*.py"))]


@pytest.mark.parametrize(
    ("room", "path"), files(), ids=lambda value: value if isinstance(value, str) else value.stem
)
def test_a_room_imports_only_what_lies_below_it(room: str, path: Path) -> None:
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top != "smug_recon":
            if room in ("physics", "calibration", "network"):
                assert top not in HEAVY, f"{path.name} imports {module}: {room} knows numerics only"
            continue
        target = rest.split(".")[0]
        target = "" if target.startswith("__") else target
        assert target in ALLOWED[room], f"{path.name} imports {module}: not below {room}"


@pytest.mark.parametrize("room", ["gadgets", "replay", "robustness", "simulation"])
def test_rooms_in_a_room_import_in_one_direction(room: str) -> None:
    """Files on top of the room count as one more of its rooms, the uppermost."""
    below: dict[str, set[str]] = {}
    for path in (ROOT / room).glob("**/*.py"):
        inner = path.relative_to(ROOT / room).parent.as_posix()
        for module in imports(path):
            package, _, rest = module.removeprefix("smug_recon.").partition(".")
            target = rest.split(".")[0] if (ROOT / room / rest.split(".")[0]).is_dir() else "."
            if package == room and (target or ".") != inner:
                below.setdefault(inner, set()).add(target or ".")
    assert any(below.values())
    assert "." not in set().union(*below.values()), f"a room in {room} imports what lies on top of it"
    try:
        graphlib.TopologicalSorter(below).prepare()
    except graphlib.CycleError as circle:
        pytest.fail(f"{room}: {' imports '.join(reversed(circle.args[1]))}")


def test_torchscript_is_touched_in_two_files() -> None:
    touching = {
        path.relative_to(ROOT).as_posix()
        for room in ALLOWED
        for path in (ROOT / room).glob("**/*.py")
        if any(
            call in path.read_text()
            for call in ("torch.jit.script(", "torch.jit.load(", "torch.jit.save(", "torch.jit.freeze(")
        )
    }
    assert touching == {"training/export.py", "gadgets/model/file.py"}


def test_nothing_unpickles() -> None:
    for path in ROOT.glob("**/*.py"):
        if ".venv" in path.parts or "tests" in path.parts:
            continue
        text = path.read_text()
        assert "import pickle" not in text, path
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, path
            assert "yaml.load(" not in line, path
