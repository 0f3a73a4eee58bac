"""Tables, figures and example images within a page, each made from the long table as the comment before it says.

A comment declares one, in YAML; what stands between it and ``<!-- end -->`` is replaced::

    <!-- table
    study: robustness
    methods: [modl, smug*]
    columns:
      clean: clean 0 psnr_db
      "start 0.02 [95 %]": start-pgd-linf 0.02 psnr_db interval
    across: acceleration psnr_db
    -->
    <!-- end -->

A column is perturbation, strength, metric and, if wanted, ``interval`` (mean and interval), ``signed`` (the same with a
sign), ``count`` (the number of slices). ``across`` adds a column for every strength of a perturbation. ``methods`` are names
or patterns, in their order; without them all, as the study lists them. ``steps`` chooses the attacks of so many steps.

A figure is drawn into ``figures/`` beside the page (PNG, or SVG by its name), with the interval of every value. Curves over the
strengths of one perturbation, or of several in panels side by side, a line per method::

    <!-- figure
    file: strengths.png
    title: PSNR under attacks of growing strength
    study: [robustness, robustness-strengths]
    methods: [cg-sense, modl, pair-*]
    across: {start: start-pgd-linf psnr_db, sampled k-space: kspace-pgd-linf psnr_db}
    clean: true
    scale: linear
    x_label: strength, relative to the peak
    y_label: PSNR in dB
    steps: 10
    -->
    <!-- end -->

``across`` without titles is one panel; ``clean`` begins every line with the clean value, at 0; ``scale`` of x is linear or log.
Where methods differ by a number in their names, a line for each family over that number, ``*``, in a panel per column; ``levels``
are methods that do not depend on it, drawn across by their mean alone::

    columns: {clean: clean 0 psnr_db, start 0.02: start-pgd-linf 0.02 psnr_db}
    lines: {10 independent: smug-sigma*-independent-samples10, one pair: smug-sigma*-antithetic-samples2}
    levels: [modl]
    x_label: sigma

Two columns without ``lines`` are a trade-off: a point per method, its denoiser calls behind its name (``calls: false`` leaves them
out); of paired differences (``psnr_db_minus_modl``) the reference stands at (0, 0)::

    columns: {"clean, dB": clean 0 psnr_db_minus_modl, "attacked, dB": start-pgd-linf 0.02 psnr_db_minus_modl}

An example shows kept images of a slice with their errors (PNG or WebP). It needs the folder of its study (config: ``examples``);
without it the picture that is there stays. Such pictures are for data that may be shown to anybody::

    <!-- example
    file: example.webp
    title: The synthetic head, clean and attacked
    study: robustness-phantom
    methods: [cg-sense, modl]
    perturbations: {clean: clean 0, attacked: start-pgd-linf 0.02}
    slice: subject/volume/number
    -->
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from smug_recon.errors import DataError
from smug_recon.robustness.jobs.job import write_whole
from smug_recon.robustness.page.drawing import drawn
from smug_recon.robustness.page.examples import example_drawn, example_of, kept_images
from smug_recon.robustness.page.figures import figure_of
from smug_recon.robustness.page.tables import table_text
from smug_recon.robustness.results.collected import Entry

BLOCK = re.compile(r"(<!-- (table|figure|example)\n(.*?)-->\n)(.*?)(<!-- end -->)", re.DOTALL)
FIGURES = "figures"


@dataclass
class Renewed:
    """What became of a page: tables written, pictures drawn, and why others were left as they are."""

    tables: int = 0
    drawn: list[Path] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def renew(page: Path, entries: Sequence[Entry], folders: Mapping[str, Path] | None = None) -> Renewed:
    """Write all tables of a page anew and draw its figures, those of examples from the ``folders`` of their studies.

    Nothing is written before every comment has been followed. Without matplotlib pictures are left as they are.

    Raises:
        DataError: a comment names what is not there.
    """
    renewed = Renewed()
    pictures: dict[Path, Callable[[], bytes]] = {}
    undrawable = "" if find_spec("matplotlib") else "no matplotlib (pip install smug-recon[figures])"

    def picture(file: str, title: str, draw: Callable[[], bytes] | None, old: str, why: str = "") -> str:
        path = page.parent / FIGURES / file
        if draw is None or undrawable:
            renewed.left.append(f"{path} is left as it was: {undrawable or why}")
            return old
        if path in pictures:
            raise DataError(f"two pictures {file}", "a name for each", "mend the comment")
        pictures[path] = draw
        return f"![{title}]({FIGURES}/{file})\n"

    def block(found: re.Match[str]) -> str:
        head, kind, said, old, end = found.groups()
        try:
            if kind == "table":
                renewed.tables += 1
                return f"{head}{table_text(said, entries)}\n{end}"
            if kind == "figure":
                figure = figure_of(said, entries)
                return f"{head}{picture(figure.file, figure.title, partial(drawn, figure), old)}{end}"
            example = example_of(said)
            folder = (folders or {}).get(example.study)
            if folder is None:
                why = f"the folder of {example.study} is not given"
                return f"{head}{picture(example.file, example.title, None, old, why)}{end}"
            images = kept_images(example, folder)
            draw = partial(example_drawn, example, images)
            return f"{head}{picture(example.file, example.title, draw, old)}{end}"
        except DataError as error:
            raise DataError(f"{page.name}: {error.found}", error.expected, error.remedy) from None

    text = BLOCK.sub(block, page.read_text(encoding="utf-8"))
    for path, draw in pictures.items():
        write_whole(path, draw())
        renewed.drawn.append(path)
    write_whole(page, text.encode())
    return renewed
