"""What no source file may do: run what it reads, start a shell, unpack archives, trust what a peer names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "joblib",
    "telnetlib",
    "xml.dom",
}
FORBIDDEN_MODULES |= {"xmlrpc", "lxml"}
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_CALLS = {
    *(
        "os.system",
        "os.popen",
        "tarfile.open",
        "shutil.unpack_archive",
        "yaml.load",
        "yaml.full_load",
        "yaml.unsafe_load",
    ),
    *("tempfile.mktemp", "ssl._create_unverified_context", "torch.hub.load", "torch.package.PackageImporter"),
}
FORBIDDEN_METHODS = {"extractall", "extract"}
NEEDED = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
}
REFUSED = {"shell": True, "allow_pickle": True, "weights_only": False}


def product_files() -> list[Path]:
    rooms = [path.parent for path in ROOT.glob("*/__init__.py")] + [ROOT / "src"]
    return sorted(path for room in rooms for path in room.rglob("*.py"))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def breaches(source: str) -> Iterator[str]:
    """What a source text does that it may not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [module, *(f"{module}.{name.name}".strip(".") for name in node.names)]
            for name in names:
                if any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN_MODULES):
                    yield f"line {node.lineno}: import of {name}"
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if (
            called in FORBIDDEN_NAMES
            or called in FORBIDDEN_CALLS
            or called.rsplit(".", 1)[-1] in FORBIDDEN_METHODS
        ):
            yield f"line {node.lineno}: {called}()"
        if called in NEEDED and given.get(NEEDED[called][0], "absent") is not NEEDED[called][1]:
            yield f"line {node.lineno}: {called} without {NEEDED[called][0]}={NEEDED[called][1]}"
        for word, value in REFUSED.items():
            if given.get(word) is value and word in given:
                yield f"line {node.lineno}: {word}={value}"


def test_there_is_something_to_scan() -> None:
    assert len(product_files()) > 150


@pytest.mark.parametrize("path", product_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_file_runs_what_it_reads(path: Path) -> None:
    assert list(breaches(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import xml.dom.minidom",
        "eval(text)",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "archive.extractall(folder)",
    ],
)
def test_the_scan_finds_what_it_looks_for(source: str) -> None:
    assert list(breaches(source))
