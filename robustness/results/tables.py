"""The long table as markdown: one table a question."""

from __future__ import annotations

from collections.abc import Sequence

from smug_recon.robustness.results.summary import Result

CLEAN_METRICS = ("psnr_db", "ssim", "nrmse", "hfen", "seconds", "denoiser_calls")
ATTACK_METRICS = (
    "loss_db", "cg_sense_same_loss_db", "excess_loss_db", "cg_sense_worst_psnr_db", "excess_over_worst_db",
    "perturbation_relative",
)  # fmt: skip
TITLES = {
    "psnr_db": "PSNR in dB",
    "loss_db": "PSNR lost against the method's own clean value, dB",
    "cg_sense_same_loss_db": "PSNR that CG-SENSE loses under the same perturbation, dB",
    "excess_loss_db": "loss beyond that of CG-SENSE under the same perturbation, dB",
    "cg_sense_worst_psnr_db": "PSNR of CG-SENSE under its own worst perturbation, dB",
    "excess_over_worst_db": "loss beyond that of CG-SENSE under its own worst perturbation, dB",
    "perturbation_relative": "|perturbation| / |data|, L2",
}


def cell(result: Result) -> str:
    """Return ``mean [low, high]``, of a single slice the value alone; four significant digits, dB with two decimals."""
    decibels = result.metric.endswith("db") or "_db_minus_" in result.metric
    if result.n < 2:
        return f"{result.mean:.2f}" if decibels else f"{result.mean:.4g}"
    if decibels:
        return f"{result.mean:.2f} [{result.ci_low:.2f}, {result.ci_high:.2f}]"
    return f"{result.mean:.4g} [{result.ci_low:.4g}, {result.ci_high:.4g}]"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Return a markdown table, or nothing where it would have no line."""
    if not lines:
        return []
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(line) + " |" for line in lines),
        "",
    ]


def by_strength(results: Sequence[Result], perturbation: str, metric: str) -> list[str]:
    """Return the table of one metric under one perturbation: methods and attack steps down, strengths across."""
    own = [result for result in results if (result.perturbation, result.metric) == (perturbation, metric)]
    strengths = list(dict.fromkeys(result.strength for result in own))
    found = {(result.method, result.steps, result.strength): result for result in own}
    lines = []
    for method, steps in dict.fromkeys((result.method, result.steps) for result in own):
        cells = [found.get((method, steps, strength)) for strength in strengths]
        lines.append([method, str(steps), *(cell(result) if result else "" for result in cells)])
    return markdown(["method", "steps", *strengths], lines)


def by_metric(results: Sequence[Result], perturbation: str, metrics: Sequence[str] = ()) -> list[str]:
    """Return a table of one perturbation: methods and strengths down, metrics across."""
    own = [result for result in results if result.perturbation == perturbation]
    metrics = metrics or list(
        dict.fromkeys(result.metric for result in own if "_minus_" not in result.metric)
    )
    found = {(result.method, result.strength, result.steps, result.metric): result for result in own}
    lines = []
    for place in dict.fromkeys((result.method, result.strength, result.steps) for result in own):
        cells = [found.get((*place, metric)) for metric in metrics]
        lines.append([place[0], place[1], str(place[2]), *(cell(one) if one else "" for one in cells)])
    return markdown(["method", "strength", "steps", *metrics], lines)


def tables(results: Sequence[Result]) -> list[str]:
    """Return all tables, in the order in which the perturbations were listed."""
    text = ["## Clean", "", *by_metric(results, "clean", CLEAN_METRICS)]
    for perturbation in dict.fromkeys(result.perturbation for result in results):
        if perturbation == "clean":
            continue
        text += [f"## {perturbation}", ""]
        if perturbation.startswith(("lesion", "hallucination", "bounds")):
            text += by_metric(results, perturbation)
            continue
        text += [f"{TITLES['psnr_db']}:", "", *by_strength(results, perturbation, "psnr_db")]
        for metric in ATTACK_METRICS if perturbation.startswith(("kspace", "adjoint", "start")) else ():
            table = by_strength(results, perturbation, metric)
            text += [f"{TITLES[metric]}:", "", *table] if table else []
    paired = [result for result in results if result.metric.startswith("psnr_db_minus_")]
    if paired:
        metric = paired[0].metric
        text += [f"## Paired differences: {metric}", ""]
        for perturbation in dict.fromkeys(result.perturbation for result in paired):
            text += [f"{perturbation}:", "", *by_strength(results, perturbation, metric)]
    return text
