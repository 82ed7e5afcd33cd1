"""Tables of the benchmarks on boxes, for :mod:`claims`."""

from __future__ import annotations

from typing import Any

RAW = "as it is"


def _cell(values: list[float], digits: int = 3) -> str:
    mean, low, high = values
    if round(low, digits) == round(high, digits):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def calibration_claim(found: dict[str, Any]) -> str:
    """The short table of the README."""
    part = next(v for v in found["results"].values() if v["usual"]["verdict"])
    name = next(k for k, v in found["results"].items() if v is part)
    usual = part["usual"]
    best = usual["verdict"]["best_published"]
    rows = {
        "as the detector states it": usual["figures"][RAW],
        f"best published by ECE ({best['ece'].removeprefix('published: ')})": usual["figures"][best["ece"]],
        f"best published by NLL ({best['nll'].removeprefix('published: ')})": usual["figures"][best["nll"]],
        f"dubio ({usual['default']})": usual["figures"][usual["default"]],
    }
    lines = [
        f"Corners of {name} ({part['images']} images, {usual['matched']} matched boxes, five parts by image, "
        f"{found['seeds']} seeds; mean and range, on images that the method did not see). Published methods "
        "state a normal law of errors. ECE by the law that each method states, and of all by the normal law:",
        "",
        "| calibration of corners | ECE, own law | ECE, normal law | NLL, own law | CRPS, pixels |",
        "|---|---|---|---|---|",
    ]
    for label, row in rows.items():
        cells = (_cell(row["ece"]), _cell(row["published_ece"]), _cell(row["nll"], 2), _cell(row["crps"], 2))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def calibration_tables(found: dict[str, Any]) -> str:
    """All tables of the page on benchmarks."""
    parts: list[str] = []
    for name, part in found["results"].items():
        parts += [f"**{name}**, {part['images']} images.", ""]
        for key, words in (("usual", "usual"), ("loose", "loose, nearer to the published matching")):
            usual = part[key]
            parts += [
                f"Corners, {words}: IoU from {usual['iou']:g}, score from {usual['min_score']:g}, "
                f"{usual['matched']} matched boxes.",
                "",
                "| method | ECE of its own law | ECE, normal law | NLL | CRPS | 90 % interval holds |",
                "|---|---|---|---|---|---|",
            ]
            ordered = sorted(usual["figures"].items(), key=lambda item: item[1]["nll"][0])
            for method, row in ordered:
                mark = " (default)" if method == usual["default"] else ""
                cells = " | ".join(
                    (
                        _cell(row["ece"]), _cell(row["published_ece"]), _cell(row["nll"], 2),
                        _cell(row["crps"], 2), f"{100 * row['coverage_90'][0]:.0f} %",
                    )
                )  # fmt: skip
                parts.append(f"| {method}{mark} | {cells} |")
            parts.append("")
        parts += ["| confidence | ECE | Brier | NLL |", "|---|---|---|---|"]
        for method, row in part["confidence"].items():
            parts.append(f"| {method} | {_cell(row['ece'])} | {_cell(row['brier'])} | {_cell(row['nll'])} |")
        parts += ["", "| classes | ECE | Brier | NLL |", "|---|---|---|---|"]
        for method, row in part["classes"].items():
            parts.append(f"| {method} | {_cell(row['ece'])} | {_cell(row['brier'])} | {_cell(row['nll'])} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def planted_errors(found: dict[str, Any]) -> str:
    """Planted errors in real boxes, and the time that it takes."""
    lines: list[str] = []
    if "speed" in found:
        speed = found["speed"]
        cpu, times = speed["cpu_seconds"], speed["times_faster"]
        lines += [
            f"CPU seconds for {speed['images']} synthetic images with {speed['boxes']} boxes each:",
            "",
            "| what | seconds | times faster than cleanlab's scores | than both its calls |",
            "|---|---|---|---|",
        ]
        for name, seconds in cpu.items():
            row = times.get(name)
            cells = f"{row['to scores']:.1f} | {row['to both calls']:.1f}" if row else "– | –"
            lines.append(f"| {name} | {seconds:.2f} | {cells} |")
        lines.append("")
    lines += _counted(found["counted"]) if "counted" in found else []
    kinds = ("all kinds", "missing", "spurious", "wrong_class", "location", "duplicate")
    for name, part in found.get("quality", {}).items():
        errors = ", ".join(map(str, part["errors"]))
        lines += [
            f"**{name}**: {part['images']} images, {part['boxes']} boxes, {errors} planted errors (one "
            f"number per seed); average precision, mean of the seeds. {_expected(part)}",
            "",
            "| ranking | " + " | ".join(k.replace("_", " ") for k in kinds) + " |",
            "|" + "---|" * (len(kinds) + 1),
        ]
        for ranking, row in part["mean"].items():
            lines.append(f"| {ranking} | " + " | ".join(f"{row[k]:.2f}" for k in kinds) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _expected(part: dict[str, Any]) -> str:
    said = part["runs"]["dubio"]["expected errors"]
    numbers = ", ".join(f"{v:.0f}" for v in said)
    return f"The audit expects {numbers}; errors that the labels had before count there, too."


def errors_claim(found: dict[str, Any]) -> str:
    """The short table of the README."""
    sets = found["quality"]
    rows = {
        "dubio": "dubio",
        "FiftyOne mistakenness": "FiftyOne's mistakenness",
        "ObjectLab (cleanlab)": "ObjectLab (cleanlab)",
    }
    sizes = ", ".join(f"{name}: {part['images']} images" for name, part in sets.items())
    seeds = len(next(iter(sets.values()))["errors"])
    lines = [
        f"Average precision of the list of all errors, planted into real labels ({sizes}; mean and range of "
        f"{seeds} seeds), with real detections by networks that have not seen these images:",
        "",
        "| ranking | " + " | ".join(sets) + " |",
        "|---|" + "---|" * len(sets),
    ]
    for name, words in rows.items():
        cells = []
        for part in sets.values():
            runs = part["runs"][name]["all kinds"]
            cells.append(f"{sum(runs) / len(runs):.2f} ({min(runs):.2f} – {max(runs):.2f})")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _counted(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "Expected number of errors in synthetic labels (300 images with 12 boxes each, one seed), of which "
        "some are wrong:",
        "",
        "| planted | errors | expected (90 % interval) | share among the first as many findings |",
        "|---|---|---|---|",
    ]
    for row in rows:
        number, low, high = row["expected"]
        share = "–" if row["precision"] is None else f"{row['precision']:.2f}"
        lines.append(f"| {row['what']} | {row['errors']} | {number:.0f} ({low:.0f} – {high:.0f}) | {share} |")
    return [*lines, ""]


def real_labels(found: dict[str, Any]) -> str:
    """Real label errors of BCCD."""
    itself = found.get("first_annotation_by_itself")
    own = [] if itself is None else [*_by_itself(itself), ""]
    return "\n".join([_quality(found), "", *_first(found), "", *own, _final(found["final_annotation"])])


def _quality(found: dict[str, Any]) -> str:
    ap, corners = found["quality"]["ap"], found["quality"]["corners"]
    confidence = found["quality"]["confidence"]
    before, after = corners["before"], corners["after"]
    name, best = min(corners["published"].items(), key=lambda item: item[1]["ece"])
    return (
        f"Detector on {found['images']} held-out images: AP {ap['ap']:.3f}, AP50 {ap['ap50']:.3f}. "
        f"Calibration error of corners {before['ece']:.3f} as stated, {after['ece']:.3f} after "
        f"(NLL {before['nll']:.2f}, {after['nll']:.2f}); best published method ({name}) {best['ece']:.3f} "
        f"(NLL {best['nll']:.2f}). Calibration error of confidence {confidence['before']['ece']:.3f}, "
        f"{confidence['after']['ece']:.3f} after."
    )


def _first(found: dict[str, Any]) -> list[str]:
    first = found["first_annotation"]
    expected, low, high = first["expected"]
    return [
        f"**First annotation**, the same images: {first['errors']} boxes were added, removed or moved to an "
        f"IoU below 0.7 later; the audit expects {expected:.0f} ({low:.0f} – {high:.0f}).",
        "",
        *_rankings(first),
    ]


def _by_itself(found: dict[str, Any]) -> list[str]:
    expected, low, high = found["expected"]
    return [
        f"**First annotation by itself**: {found['images']} images, held-out detections of four networks "
        f"that were trained on this annotation (AP50 {found['ap50']:.3f}); {found['errors']} red cells were "
        f"added, removed or moved later; the audit expects {expected:.0f} ({low:.0f} – {high:.0f}).",
        "",
        *_rankings(found),
    ]


def nuclei_boxes(found: dict[str, Any]) -> str:
    """Real label errors of nuclei."""
    words = "nothing is calibrated"
    if found["expected"] is not None:
        expected, low, high = found["expected"]
        words = f"the audit expects {expected:.0f} ({low:.0f} – {high:.0f})"
    return "\n".join(
        [
            f"{found['images']} images, {found['boxes']} boxes; detector AP {found['ap']['ap']:.3f}, AP50 "
            f"{found['ap']['ap50']:.3f}. {found['errors']} boxes differ; {words}.",
            "",
            *_rankings(found),
        ]
    )


def _rankings(first: dict[str, Any]) -> list[str]:
    lines = [
        "| ranking | average precision (90 % interval) | missing | spurious | bad location |",
        "|---|---|---|---|---|",
    ]
    names = {"objectlab": "ObjectLab (cleanlab's formulas)", "fiftyone": "mistakenness (FiftyOne's formulas)"}
    for name, row in first["rankings"].items():
        ap = row["ap"]
        known = [row["kinds"].get(k) for k in ("missing", "spurious", "location")]
        kinds = " | ".join("–" if k is None else f"{k['ap']:.2f}" for k in known)
        lines.append(
            f"| {names.get(name, name)} | {ap['value']:.2f} ({ap['low']:.2f} – {ap['high']:.2f}) | {kinds} |"
        )
    return lines


def _final(final: dict[str, Any]) -> str:
    bare, twice = final["without_red_cells"], final["labelled_twice"]
    places = ", ".join(map(str, bare["ranks"]))
    return (
        f"**Final annotation**, all {final['images']} images ({final['trained_on']} were trained on): "
        f"the {bare['known']} images that are known to lack every red cell take the places {places} of the "
        f"list of images. Of {twice['known']} known doubled boxes, "
        f"{sum(r is not None for r in twice['ranks'])} are in the list of 500."
    )


def fiftyone_boxes(found: dict[str, Any]) -> str:
    """How far ours and FiftyOne's own mistakenness differ."""
    words = []
    for name, part in found.items():
        n = part["boxes_that_differ"]
        words.append(
            f"- {name}: {part['boxes']} boxes, {part['detections']} detections, "
            + ("all equal" if not n else f"{n} values differ, where two boxes overlap a detection equally")
        )
    return "\n".join(words)
