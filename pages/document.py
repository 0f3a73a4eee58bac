"""A page as one file: markup, style and script inside it, and nothing that it loads from anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from smug_recon.pages import COLOURS


def document(
    package: str,
    name: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., str]] | None = None,
) -> str:
    """Fill in ``page/NAME.html`` of a package, with the colours, its ``NAME.css`` and its ``NAME.js`` inside.

    The template extends ``document.html``, whose policy lets a browser fetch nothing. Values are escaped; one that is not
    there is an error.

    Args:
        package: ``smug_recon.ROOM``. name: of the three files. values: what the template asks for. filters: its own, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package, "page"), jinja2.PackageLoader("smug_recon.pages", "")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    own = resources.files(package) / "page"
    style = COLOURS.read_text(encoding="utf-8") + (own / f"{name}.css").read_text(encoding="utf-8")
    script = (own / f"{name}.js").read_text(encoding="utf-8")
    template = environment.get_template(f"{name}.html")
    return template.render(style=Markup(style), script=Markup(script), **values)
