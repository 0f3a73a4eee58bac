"""What is done to a method on a slice: the axes of the config, spelled out one measurement at a time."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from smug_recon.robustness.settings.axes import AttackAxis, BoundAxis, Domain, LesionAxis
from smug_recon.robustness.settings.evaluation import EvaluationConfig
from smug_recon.robustness.settings.methods import MethodSettings


class Probe(BaseModel):
    """One row label and all that the measurement needs; ``perturbation``, ``strength`` and ``steps`` are columns of the results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal[
        "clean",
        "noise",
        "attack",
        "transfer",
        "unrolling-steps",
        "input-scale",
        "denoising",
        "lesion",
        "bounds",
    ]
    perturbation: str
    strength: float | str = 0.0
    steps: int = 0
    domain: Domain = "kspace"
    norm: Literal["linf", "l2"] = "linf"
    step: float | None = None
    restarts: int = 1
    eot: int = 1
    knows_seed: bool = False
    through: Literal["implicit", "iterations"] = "implicit"
    source: str | None = None
    scan: tuple[tuple[str, Any], ...] = ()
    lesion_contrast: float = 0.0
    lesion_size_px: float = 2.0
    aim: Literal["error", "hide", "invent"] = "error"
    iterations: int = 0
    slices: int | None = None


CLEAN = Probe(kind="clean", perturbation="clean")


def probes(config: EvaluationConfig) -> list[tuple[Probe, tuple[MethodSettings, ...]]]:
    """Return every probe with the methods that undergo it, in the order of the tables."""
    axes, everyone = config.axes, config.methods
    networks = tuple(method for method in everyone if method.kind == "network")
    found: list[tuple[Probe, tuple[MethodSettings, ...]]] = [(CLEAN, everyone)]
    if axes.noise:
        found += [
            (
                Probe(kind="noise", perturbation=f"{domain}-noise", strength=strength, domain=domain),
                everyone,
            )
            for domain in axes.noise.domains
            for strength in axes.noise.strengths
        ]
    for axis in axes.attacks:
        found += _attacks(axis, everyone)
    for field, values in axes.shifts.items():
        found += [
            (
                Probe(kind="clean", perturbation=f"shift-{field}", strength=value, scan=((field, value),)),
                everyone,
            )
            for value in values
        ]
    found += [
        (Probe(kind="unrolling-steps", perturbation="unrolling-steps", strength=steps), networks)
        for steps in axes.unrolling_steps
    ]
    found += [
        (Probe(kind="input-scale", perturbation="input-scale", strength=factor), networks)
        for factor in axes.input_scale
    ]
    found += [
        (Probe(kind="denoising", perturbation="denoising", strength=strength), networks)
        for strength in axes.denoising
    ]
    if axes.lesions:
        found += _lesions(axes.lesions, everyone)
    if axes.bounds:
        found += _bounds(axes.bounds, networks)
    return found


def _only(names: tuple[str, ...], methods: tuple[MethodSettings, ...]) -> tuple[MethodSettings, ...]:
    return tuple(
        method for method in methods if not names or method.name in names or method.kind != "network"
    )


def _attacks(
    axis: AttackAxis, methods: tuple[MethodSettings, ...]
) -> list[tuple[Probe, tuple[MethodSettings, ...]]]:
    suffix = "".join(
        text
        for text, said in (
            (f"-r{axis.restarts}", axis.restarts > 1),
            (f"-eot{axis.eot}", axis.eot > 1),
            ("-known-seed", axis.knows_seed),
            ("-exact", axis.through == "iterations"),
        )
        if said
    )
    attacked = tuple(method for method in _only(axis.only, methods) if method.kind != "l1-wavelet")
    found: list[tuple[Probe, tuple[MethodSettings, ...]]] = []
    for steps in axis.steps:
        for strength in axis.strengths:
            attack = Probe(
                kind="attack",
                perturbation=f"{axis.domain}-pgd-{axis.norm}{suffix}",
                strength=strength,
                steps=steps,
                domain=axis.domain,
                norm=axis.norm,
                step=axis.step,
                restarts=axis.restarts,
                eot=axis.eot,
                knows_seed=axis.knows_seed,
                through=axis.through,
            )
            found.append((attack, attacked))
            if axis.transfer_from:
                label = f"{axis.domain}-transfer-{axis.norm}{suffix}"
                transfer = attack.model_copy(
                    update={"kind": "transfer", "perturbation": label, "source": axis.transfer_from}
                )
                found.append(
                    (transfer, tuple(method for method in methods if method.name != axis.transfer_from))
                )
    return found


def _lesions(
    axis: LesionAxis, methods: tuple[MethodSettings, ...]
) -> list[tuple[Probe, tuple[MethodSettings, ...]]]:
    found: list[tuple[Probe, tuple[MethodSettings, ...]]] = []
    attackable = tuple(method for method in methods if method.kind in ("network", "cg-sense"))
    for size in axis.sizes_px:
        for contrast in axis.contrasts:
            plain = Probe(
                kind="lesion",
                perturbation=f"lesion-{contrast:g}-{size:g}px",
                lesion_contrast=contrast,
                lesion_size_px=size,
            )
            found.append((plain, methods))
            for strength in axis.strengths:
                hidden = {"strength": strength, "steps": axis.steps, "aim": "hide"}
                found.append((plain.model_copy(update=hidden), attackable))
        invented = Probe(kind="lesion", perturbation=f"hallucination-{size:g}px", lesion_size_px=size)
        found.append((invented, methods))
        for strength in axis.strengths:
            update = {"strength": strength, "steps": axis.steps, "aim": "invent"}
            found.append((invented.model_copy(update=update), attackable))
    return found


def _bounds(
    axis: BoundAxis, networks: tuple[MethodSettings, ...]
) -> list[tuple[Probe, tuple[MethodSettings, ...]]]:
    probe = Probe(
        kind="bounds",
        perturbation="bounds",
        strength=axis.strength,
        steps=axis.steps,
        norm="l2",
        iterations=axis.iterations,
        slices=axis.slices,
    )
    return [(probe, tuple(method for method in networks if not axis.only or method.name in axis.only))]
