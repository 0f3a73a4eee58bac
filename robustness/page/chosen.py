"""What a comment in a page asks of the long table: a study, methods by patterns, one result for a cell or a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from smug_recon.errors import DataError
from smug_recon.robustness.results.collected import Entry
from smug_recon.robustness.results.summary import Result


class Declaration(BaseModel):
    """The content of a comment; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


Declared = TypeVar("Declared", bound=Declaration)


def declared(kind: type[Declared], said: str, what: str) -> Declared:
    """Return a comment's content. DataError, naming ``what`` is declared, where it cannot be read."""
    try:
        return kind.model_validate(yaml.safe_load(said))
    except (yaml.YAMLError, ValidationError) as error:
        raise DataError(
            f"{what} that cannot be read ({error})", ", ".join(kind.model_fields), "mend the comment"
        ) from None


def of_studies(entries: Iterable[Entry], studies: Sequence[str]) -> list[Result]:
    """Return the results of studies, in the order in which they are named. DataError where one has none."""
    known = {entry.study: None for entry in entries}
    for study in studies:
        if study not in known:
            raise DataError(
                f"nothing of the study {study!r}",
                f"one of {', '.join(sorted(known))}",
                "evaluate it, or mend the comment",
            )
    return [entry.result for study in studies for entry in entries if entry.study == study]


def methods_of(own: Sequence[Result], patterns: Sequence[str]) -> list[str]:
    """Return the methods that patterns name, in their order. DataError where one names none."""
    names = list(dict.fromkeys(result.method for result in own))
    found: list[str] = []
    for pattern in patterns:
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            raise DataError(f"no method {pattern!r}", f"one of {', '.join(names)}", "mend the comment")
        found += fitting
    return list(dict.fromkeys(found))


def words_of(place: str, names: str, optional: Sequence[str] = ()) -> list[str]:
    """Split ``perturbation strength metric`` or the like; a last word out of ``optional`` may follow. DataError."""
    words, count = place.split(), len(names.split())
    if len(words) == count or (len(words) == count + 1 and words[-1] in optional):
        return words
    expected = f"{names} [{'|'.join(optional)}]" if optional else names
    raise DataError(f"the words {place!r}", expected, "mend the comment")


def one_result(
    own: Sequence[Result], method: str, perturbation: str, strength: str, metric: str, steps: int | None
) -> Result | None:
    """Return the result of a place, None where there is none.

    ``steps`` chooses among attacks; what is no attack has none. DataError where several results are left.
    """
    place = (method, perturbation, strength, metric)
    found = [
        result
        for result in own
        if (result.method, result.perturbation, result.strength, result.metric) == place
        and steps in (None, result.steps, *([steps] if result.steps == 0 else []))
    ]
    if len(found) > 1:
        raise DataError(
            f"{perturbation} {strength} {metric} of {method} for {', '.join(str(one.steps) for one in found)} steps",
            "one of them",
            "say steps in the comment, or one study",
        )
    return found[0] if found else None
