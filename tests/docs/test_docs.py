"""The documentation runs: every code block of README and docs, page by page, as a reader would enter it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .blocks import blocks_of, commands_of, prose_of
from .runner import LEFT_OUT, all_options, check_command, left_out, run_block

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {page: blocks_of(page, ROOT) for page in PAGES}
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
# Options of other programs that the pages name.
FOREIGN = {
    "--camvid", "--nuclei", "--work", "--check", "--extra", "--comma", "--edge", "--espnet", "--known",
    "--known-space", "--own",
}  # fmt: skip
SHOWN = {"", "text", "toml", "json", "reviewer"}
# No words of a reason: the reader wants to know why.
LEAST_REASON = 10


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_page_runs(page, world, tmp_path, monkeypatch):
    blocks = [b for b in BLOCKS[page] if b.not_run is None]
    if not any(b.language in ("sh", "python") for b in blocks):
        return
    folder = tmp_path / "reader"
    shutil.copytree(world, folder)
    monkeypatch.chdir(folder)
    names = {"__name__": "docs"}
    for block in blocks:
        try:
            run_block(block, names)
        except BaseException as error:
            error.add_note(f"in the block at {block.place}:\n{block.code}")
            raise


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_what_is_not_run_is_sound_and_says_why(page):
    for block in BLOCKS[page]:
        assert block.language in SHOWN | {"sh", "python"}, f"{block.place}: nothing runs {block.language}"
        if block.not_run is None:
            continue
        assert len(block.not_run) >= LEAST_REASON, f"{block.place}: why is it not run?"
        if block.language == "python":
            compile(block.code, block.place, "exec")
        if block.language == "sh":
            for words in commands_of(block):
                if words[0] == "dubio":
                    check_command(words[1:])
                else:
                    assert left_out(words) or words[0] == "python", f"{block.place}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_named_options_exist(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", _without_comments(page)))
    assert named <= all_options() | FOREIGN, named - all_options() - FOREIGN


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_in_the_prose_exist(page):
    from dubio.cli.main import main

    for words in re.findall(r"`dubio ([a-z]+)(?: ([a-z]+))?", prose_of(page.read_text(encoding="utf-8"))):
        group = main.get_command(None, words[0])
        assert group is not None, f"dubio {words[0]}"
        if words[0] in ("benchmark", "train") and words[1]:
            assert group.get_command(None, words[1]) is not None, f"dubio {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{page.name}: {target}"
        if anchor and place.suffix == ".md":
            assert anchor in _anchors(place), f"{page.name}: {target}"


def test_every_page_is_in_the_contents():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("nav:")[2]
    listed = set(re.findall(r"[\w/-]+\.md", nav))
    there = {p.relative_to(ROOT / "docs").as_posix() for p in PAGES if p.is_relative_to(ROOT / "docs")}
    assert listed == there


def test_every_command_has_its_help_in_the_reference():
    from dubio.cli.main import COMMANDS

    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert re.search(rf"<!-- cli: {name}( [a-z]+)? -->", page), name


def test_what_is_left_out_occurs():
    """The list of commands that are not run holds none that no page has."""
    lines = [
        " ".join(words)
        for blocks in BLOCKS.values()
        for block in blocks
        if block.language == "sh"
        for words in commands_of(block)
    ]
    assert [start for start in LEFT_OUT if not any(line.startswith(start) for line in lines)] == []


def _without_comments(page: Path) -> str:
    return re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.strip().lower())) for title in titles}
