"""Options that name domains and models, for the commands on reliability and calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dubio.cli.modelopts import MODEL_DETAILS, Command, add_options
from dubio.cli.specs import Spec, parse_spec
from dubio.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dubio.data.altered import Alteration
    from dubio.data.domains import Domain
    from dubio.jobs.candidates import Candidate

_DATA_KEYS = {
    "images",
    "labels",
    "layout",
    "split",
    "label-space",
    "encoding",
    "role",
    "unknown",
    "leave-out",
    "class-map",
}
_MODEL_KEYS = {
    "space", "class-map", "card", "input-scale", "mean", "std", "channels", "input-size", "window", "overlap",
    "output", "calibrator", "device",
}  # fmt: skip
_SCORE_KEYS = {"model", "kind", "layout", "key", "space", "class-map", "calibrator"}

_DOMAINS = (
    click.option(
        "--data", "data", multiple=True, metavar="NAME=DIR[?…]",
        help="A domain: root of a data set, the first is the source. Options after '?', joined by '&': "
        "split, layout, label-space, encoding, images and labels (folders in DIR), role=calibration|test "
        "(published scenes), unknown and leave-out (classes), class-map (for models of other classes), and "
        "any tag: condition=fog. Repeatable.",
    ),
    click.option("--by", metavar="TAG", help="Split every data set by a tag: condition, scene, city …"),
    click.option(
        "--corrupt", "corrupt", multiple=True, metavar="KIND:SEVERITIES",
        help="Add the source under a corruption: fog:3, noise:1-5, imagenet-c:3, all:1,3,5; or a chain of "
        "the published operations: chain=t1,3 or chain=random_2. Repeatable.",
    ),
)  # fmt: skip
_MODELS = (
    click.option(
        "--model", "models", multiple=True, metavar="[NAME=]FILE[?…]",
        help="A model: ONNX file, torch program, transformers folder or dubio checkpoint. Options after '?': "
        "card, space, class-map, input-size=HxW, window, calibrator=FILE … Repeatable.",
    ),
    click.option(
        "--scores", "scores", multiple=True, metavar="[DATA=]DIR[?…]",
        help="Class scores in files instead of a model, for the domain DATA. Options: model=NAME, kind, key, "
        "space, class-map, calibrator=FILE. Repeatable.",
    ),
)  # fmt: skip


_RUN = (
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random."),
    click.option("--workers", type=click.IntRange(1), help="Images at once. [default: all processors]"),
    click.option("--strict", is_flag=True, help="Stop at the first image that can't be used."),
    click.option("--out", required=True, type=click.Path(path_type=Path), help="Run folder."),
    click.option("--open/--no-open", "open_page", default=False, help="Open the report in a browser."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


def run_options(command: Command) -> Command:
    """Add the options of a run that ends in a page."""
    return add_options(command, _RUN)


def domain_options(command: Command) -> Command:
    """Add the options that name domains and models."""
    return add_options(command, (*_DOMAINS, *_MODELS, *MODEL_DETAILS))


def open_domains(options: dict[str, Any], *, seed: int = 0) -> list[Domain]:
    """Open the domains that the options name; the first is the source.

    Raises:
        InputError: none, two of one name, or one that can't be read.
    """
    from dubio.data.domains import corrupted
    from dubio.data.protocols import split_by

    specs = [parse_spec(text) for text in options["data"]]
    if not specs:
        raise InputError("no data are given", remedy="name them with --data NAME=DIR")
    domains = [_domain(spec, options) for spec in specs]
    if options["by"]:
        domains = [
            _part(d, name, part) for d in domains for name, part in split_by(d.dataset, options["by"]).items()
        ]
    for text in options["corrupt"]:
        domains += corrupted(domains[0], alterations(text), seed=seed)
    names = [d.name for d in domains]
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise InputError(f"two domains are called '{double}'", remedy="name them: --data NAME=DIR")
    return domains


def alterations(text: str) -> Sequence[Alteration]:
    """Corruptions, or with ``chain=`` a chain of the published operations."""
    from dubio.data.altered import Chained
    from dubio.data.corrupt import parse_chain, parse_corruptions

    if text.startswith("chain="):
        return [Chained(text.removeprefix("chain="), parse_chain(text.removeprefix("chain=")))]
    return parse_corruptions(text)


def _part(domain: Domain, name: str, dataset: Any) -> Domain:
    from dataclasses import replace

    return replace(domain, name=f"{domain.name} {name}", dataset=dataset, of=domain.name)


def _domain(spec: Spec, options: dict[str, Any]) -> Domain:
    from dubio.data.domains import Domain
    from dubio.data.layouts import open_dataset, open_folders
    from dubio.data.protocols import load_protocol, published_split, where
    from dubio.data.spaces import load_space

    given = spec.options
    named = given.get("label-space") or options.get("label_space")
    space = load_space(named) if named else None
    if "labels" in given:
        images = given.get("images")
        dataset = open_folders(
            labels=spec.place / given["labels"],
            images=None if images is None else spec.place / images,
            space=space,
            encoding=given.get("encoding"),
        )
    else:
        dataset = open_dataset(
            spec.place, layout=given.get("layout"), split=given.get("split"), space=space,
            encoding=given.get("encoding"),
        )  # fmt: skip
    protocol: str | None = None
    unlisted: tuple[int, ...] = ()
    if "role" in given:
        rules = load_protocol(dataset.name)
        if dataset.encoding == rules.unknown_encoding and rules.unknown:
            protocol = rules.name
        unlisted = rules.leave_out_of(dataset.space)
        dataset = published_split(dataset, given["role"])
    tags = {key: spec.names(key) for key in given if key not in _DATA_KEYS}
    if tags:
        dataset = where(dataset, tags)
    classes = {
        key: tuple(dataset.space.index_of(n) for n in spec.names(key)) for key in ("unknown", "leave-out")
    }
    return Domain(
        spec.title,
        dataset,
        unknown=classes["unknown"],
        protocol=protocol,
        leave_out=classes["leave-out"] or unlisted,
        class_map=given.get("class-map"),
    )


def open_candidates(options: dict[str, Any]) -> list[Candidate]:
    """Open the models that the options name.

    Raises:
        InputError: none, two of one name, or one that can't be used.
    """
    found = [_network(parse_spec(text), options) for text in options["models"]]
    found += _files([parse_spec(text) for text in options["scores"]], options)
    if not found:
        raise InputError("no model is given", remedy="name one with --model, or scores with --scores")
    names = [c.name for c in found]
    double = next((n for n in names if names.count(n) > 1), None)
    if double is not None:
        raise InputError(f"two models are called '{double}'", remedy="name them: --model NAME=FILE")
    return found


def _network(spec: Spec, options: dict[str, Any]) -> Candidate:
    from dubio.jobs.candidates import NetworkCandidate, open_calibrator
    from dubio.models.load import load_model

    spec.only(_MODEL_KEYS, "a model")
    given = spec.options

    def one(key: str, option: str | None = None) -> Any:
        return given.get(key) or options.get(option or key.replace("-", "_")) or None

    window = spec.size("window") or options["window"] or None
    overlap = (spec.numbers("overlap") or (options["overlap"],))[0]
    model = load_model(
        spec.place,
        card=one("card"),
        space=one("space", "model_space"),
        input_scale=one("input-scale"),
        mean=spec.numbers("mean") or options["mean"] or None,
        std=spec.numbers("std") or options["std"] or None,
        channels=one("channels"),
        size=spec.size("input-size") or options["input_size"] or None,
        window=window,
        overlap=overlap,
        output=one("output"),
        device=one("device"),
    )
    return NetworkCandidate(
        spec.title,
        model,
        class_map=one("class-map"),
        calibrator=open_calibrator(given.get("calibrator") or options.get("calibrator")),
        window=window,
        overlap=overlap,
        amp=bool(options["amp"]),
    )


def _files(specs: list[Spec], options: dict[str, Any]) -> list[Candidate]:
    from dubio.jobs.candidates import FileCandidate, open_calibrator

    by_model: dict[str, list[Spec]] = {}
    for spec in specs:
        spec.only(_SCORE_KEYS, "a folder of scores")
        by_model.setdefault(spec.options.get("model", "scores"), []).append(spec)
    found: list[Candidate] = []
    for name, group in by_model.items():
        by_domain = _by_domain(group, options)
        folders = {domain: spec.place for domain, spec in by_domain.items()}
        chosen = {domain: _how_to_read(spec, options) for domain, spec in by_domain.items()}
        named = {spec.options["calibrator"] for spec in group if "calibrator" in spec.options}
        if len(named) > 1:
            raise InputError(f"'{name}' has several calibrators", remedy="name models: model=NAME")
        calibrator = open_calibrator(next(iter(named), None) or options.get("calibrator"))
        found.append(FileCandidate(name, folders, chosen, calibrator))
    return found


def _by_domain(group: list[Spec], options: dict[str, Any]) -> dict[str, Spec]:
    """The folders of one model by domain."""
    known = [parse_spec(text).title for text in options["data"]]
    found: dict[str, Spec] = {}
    for spec in group:
        domain = spec.name or _only_domain(options)
        if domain in found:
            raise InputError(
                f"there are two folders of scores for '{domain}'", remedy="tell models apart by model=NAME"
            )
        if not any(domain == title or domain.startswith(f"{title} ") for title in known):
            raise InputError(
                f"there are no data '{domain}' for {spec.text}", remedy=f"known: {', '.join(known)}"
            )
        found[domain] = spec
    return found


def _how_to_read(spec: Spec, options: dict[str, Any]) -> dict[str, Any]:
    from dubio.data.spaces import load_space

    given = spec.options
    space = given.get("space") or options.get("model_space")
    return {
        "class_map": given.get("class-map") or options.get("class_map"),
        "model_space": load_space(space) if space else None,
        "kind": given.get("kind", "auto"),
        "layout": given.get("layout", "auto"),
        "key": given.get("key"),
    }


def _only_domain(options: dict[str, Any]) -> str:
    titles = [parse_spec(text).title for text in options["data"]]
    if len(titles) != 1:
        raise InputError("there are several domains", remedy="say whose scores: --scores DATA=DIR")
    return titles[0]
