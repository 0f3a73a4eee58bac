# Sourced by the other scripts: makes ROOT/.venv with the package in it, once per state of the project's own files.
# PYTHON chooses the interpreter (python3 by default); 3.10 to 3.13.
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${SMUG_RECON_VENV:-$ROOT/.venv}"
PYTHON="${PYTHON:-python3}"

make_environment() { # $1: extras to install, for example [test]
    local wanted
    wanted="$(cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | sha256sum | cut -d' ' -f1) $1 $ROOT"
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$VENV/made-for" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    "$PYTHON" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || {
        echo "found $("$PYTHON" --version); expected Python 3.10 to 3.13; set PYTHON to such an interpreter" >&2
        exit 1
    }
    echo "Setting up $VENV (torch is large: a minute or two) ..."
    "$PYTHON" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c "$ROOT/constraints.txt" torch
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -c "$ROOT/constraints.txt" -e "$ROOT$1"
    echo "$wanted" >"$VENV/made-for"
}
