"""The page in a browser, opened from disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dubio.errors.verdicts import apply_verdicts, read_verdicts

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, fake: Any) -> Path:
    """Twelve findings, the first nine with pictures."""
    folder, space = tmp_path_factory.mktemp("small"), fake.make_space()
    findings = fake.findings(12)
    drawn = [replace(f, picture=fake.draw(folder, f, space)) for f in findings[:9]]
    page: Path = fake.write_run(folder, [*drawn, *findings[9:]], quarantine={"bad": "no colours"})
    return page


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, fake: Any) -> Path:
    page: Path = fake.write_run(tmp_path_factory.mktemp("long"), fake.findings(2000))
    return page


def shown(page: Any) -> list[int]:
    numbers: list[int] = page.evaluate(
        "[...document.querySelectorAll('article.card')].map(c => Number(c.id.slice(1)))"
    )
    return numbers


def current(page: Any) -> int:
    return int(page.locator("article[aria-current=true]").get_attribute("id")[1:])


def eventually(page: Any, script: str) -> None:
    """Wait until a script is true (the page's policy forbids the browser's own waiting by text)."""
    for _ in range(200):
        if page.evaluate(script):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never came true: {script}")


# from top to bottom; gives the findings that were shown, and the most cards that there were at once
SCROLL_THROUGH = """async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const seen = new Set();
  let most = 0;
  for (let y = 0; y < document.documentElement.scrollHeight; y += 2800) {
    scrollTo(0, y);
    await frame();
    await frame();
    await frame();
    const cards = document.querySelectorAll("article.card");
    most = Math.max(most, cards.length);
    for (const card of cards) seen.add(Number(card.id.slice(1)));
  }
  return [[...seen], most];
}"""


def words(page: Any, selector: str) -> str:
    return str(page.locator(selector).inner_text()).replace("\u00a0", " ")


def test_summary_and_trust_are_told(visit: Open, small: Path) -> None:
    page = visit(small)
    assert "27 label errors expected among 3,140 label regions" in words(page, "h1")
    assert "31 Jan 2026" in words(page, "#meta")
    assert page.locator("table.classes tbody tr").count() == 6
    assert "800 errors were planted" in words(page, "#trust")
    assert page.locator("svg.reliability .bin").count() == 5
    assert "1 image left out" in words(page, "#left-out")
    page.locator("table.classes thead button", has_text="Class").click()
    assert "a class with" in page.locator("table.classes tbody tr").first.inner_text()


def test_cards_say_what_label_and_model_say(visit: Open, small: Path) -> None:
    page = visit(small)
    text = words(page, "#f1")
    for part in ("label says", "sidewalk", "model says", "car", "wrong class", "0.98", "scene_0000"):
        assert part in text
    assert "No picture of this place" in words(page, "#f12")
    first = page.locator("#f1 img")
    first.evaluate("image => image.decode()")
    assert first.evaluate("image => image.naturalWidth") > 1000


def test_filters(visit: Open, small: Path, fake: Any) -> None:
    page = visit(small)
    findings = fake.findings(12)
    page.locator("[data-kind=missing]").click()
    assert shown(page) == [f.finding for f in findings if f.kind == "missing"]
    assert words(page, "#count") == "3 of 12"
    page.locator("#reset").click()
    assert len(shown(page)) == 12

    page.locator("#class-filter").select_option("2")
    assert shown(page) == [f.finding for f in findings if 2 in (f.given_index, f.proposed_index)]
    page.locator("#reset").click()
    page.locator("table.classes tbody tr", has_text="person").click()
    assert shown(page) == [f.finding for f in findings if 3 in (f.given_index, f.proposed_index)]
    page.locator("#reset").click()

    page.locator("#search").fill("SCENE_0001")
    assert shown(page) == [f.finding for f in findings if f.image_id == "scene_0001"]
    page.locator("#search").fill("nowhere")
    assert "No place fits" in words(page, "#cards")
    page.get_by_role("button", name="Reset filters").click()

    page.locator("#least").evaluate("x => { x.value = 100; x.dispatchEvent(new Event('input')); }")
    eventually(page, "document.querySelectorAll('article.card').length < 12")
    kept = shown(page)
    assert kept == list(range(1, len(kept) + 1))
    page.locator("#reset").click()

    page.locator("#sort").select_option("size")
    sizes = {f.finding: f.size for f in findings}
    order = [sizes[n] for n in shown(page)]
    assert order == sorted(order, reverse=True)


def test_filter_by_verdict_keeps_what_was_just_judged_in_place(visit: Open, small: Path) -> None:
    page = visit(small)
    page.get_by_role("radio", name="Open").check()
    page.locator("#f2 .verdict.accepted").click()
    assert 2 in shown(page)
    page.get_by_role("radio", name="Wrong").check()
    assert shown(page) == [2]
    page.get_by_role("radio", name="Open").check()
    assert 2 not in shown(page)
    assert len(shown(page)) == 11


def test_keys(visit: Open, small: Path) -> None:
    page = visit(small)
    press = page.keyboard.press
    press("j")  # from the top of the page: to the first finding
    assert current(page) == 1
    for pressed, place in (("j", 2), ("ArrowRight", 3), ("k", 2), ("ArrowDown", 4), ("ArrowUp", 2), ("k", 1)):
        press(pressed)
        assert current(page) == place, pressed
    assert page.evaluate("document.activeElement.id") == "f1"
    press("a")
    press("r")
    assert current(page) == 3
    assert "2 of 12 reviewed" in words(page, "#progress")
    assert "1 wrong, 1 fine" in words(page, "#progress")
    press("u")
    assert current(page) == 2
    assert "1 of 12 reviewed" in words(page, "#progress")
    press("k")
    press("u")
    assert "0 of 12 reviewed" in words(page, "#progress")
    press("/")
    page.keyboard.type("ajar")  # letters go into the field
    assert page.locator("#search").input_value() == "ajar"
    assert "0 of 12 reviewed" in words(page, "#progress")
    press("Escape")
    assert page.locator("#search").input_value() == ""
    page.locator("#class-filter").focus()
    press("Escape")
    assert page.evaluate("document.activeElement.matches('article.card')")
    press("?")
    assert page.locator("#help").is_visible()
    press("j")
    press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.evaluate("document.activeElement.matches('article.card')")


def test_large_view(visit: Open, small: Path) -> None:
    page = visit(small)
    page.locator("#f2 .strip").click()
    viewer = page.locator("#viewer")
    assert viewer.locator(".tile").count() == 3
    page.keyboard.press("3")
    assert viewer.locator(".tile").count() == 1
    assert "label says" in words(page, "#viewer figcaption")
    page.keyboard.press("1")
    page.keyboard.press("a")
    assert "#3" in words(page, "#viewer")
    viewer.get_by_role("button", name="Next finding").click()
    assert "4 of 12" in words(page, "#viewer")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("k")
    assert viewer.locator(".verdict.accepted").get_attribute("aria-pressed") == "true"
    viewer.locator(".verdict.accepted").click()  # a second click takes it back
    assert "0 of 12 reviewed" in words(page, "#progress")
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    eventually(page, "document.activeElement.id === 'f2'")
    page.keyboard.press("Enter")
    assert viewer.is_visible()
    for _ in range(12):
        page.keyboard.press("j")
    assert "12 of 12" in words(page, "#viewer")
    assert "No picture of this place" in words(page, "#viewer")
    assert viewer.get_by_role("button", name="Next finding").is_disabled()


def test_verdicts_outlast_the_page_and_travel_by_file(
    visit: Open, small: Path, fake: Any, tmp_path: Path
) -> None:
    from dubio.errors.findings import to_table

    page = visit(small)
    for pressed in ("j", "a", "r", "a"):
        page.keyboard.press(pressed)
    page.reload()
    assert "3 of 12 reviewed" in words(page, "#progress")
    assert page.locator("#f2").get_attribute("data-state") == "rejected"

    with page.expect_download() as download:
        page.keyboard.press("e")
    kept = tmp_path / download.value.suggested_filename
    download.value.save_as(kept)
    assert kept.name == "verdicts.json"
    verdicts = read_verdicts(kept)
    assert [(v.finding, v.verdict) for v in verdicts] == [(1, "accepted"), (2, "rejected"), (3, "accepted")]
    assert all(v.time for v in verdicts)
    table = apply_verdicts(to_table(fake.findings(12), fake.make_space()), verdicts)
    assert table.column("verdict").to_pylist()[:4] == ["accepted", "rejected", "accepted", None]

    other = visit(small)  # a fresh browser knows nothing of them
    assert "0 of 12 reviewed" in words(other, "#progress")
    rows = json.loads(kept.read_text("utf-8"))
    rows["verdicts"].append({**rows["verdicts"][0], "image_id": "elsewhere"})
    kept.write_text(json.dumps(rows), encoding="utf-8")
    other.locator("#file").set_input_files(kept)
    eventually(other, "document.getElementById('progress').textContent.includes('3 of 12')")
    assert "Loaded 3 of 4 verdicts; 1 fit no finding" in words(other, "#toast")
    kept.write_text("{}", encoding="utf-8")
    other.locator("#file").set_input_files(kept)
    eventually(other, "document.getElementById('toast').textContent.includes('holds no verdicts')")
    assert "3 of 12 reviewed" in words(other, "#progress")


def test_verdicts_in_the_data_are_shown_and_can_be_taken_back(
    visit: Open, run_writer: Callable[..., Path], fake: Any
) -> None:
    findings = fake.findings(3)
    path = run_writer([replace(findings[0], verdict="accepted"), *findings[1:]])
    page = visit(path)
    assert "1 of 3 reviewed" in words(page, "#progress")
    page.keyboard.press("j")
    page.keyboard.press("u")
    page.reload()
    assert "0 of 3 reviewed" in words(page, "#progress")


def test_names_stay_text(visit: Open, run_writer: Callable[..., Path], fake: Any) -> None:
    evil = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", '"><svg onload=alert(1)>')
    space = fake.make_space(evil)
    findings = [fake.make_finding(n, space, image_id=evil[n - 1], reason=evil[0]) for n in (1, 2, 3)]
    page = visit(run_writer(findings, space=space, name=evil[0], quarantine={evil[1]: evil[2]}))
    assert words(page, "#f1 .image-id") == evil[0]
    assert words(page, "#f2 .image-id") == evil[1]
    assert page.locator("img[src=x]").count() == 0
    page.locator("#f1").focus()
    page.keyboard.press("Enter")
    assert evil[0] in words(page, "#viewer")
    page.keyboard.press("Escape")
    page.locator("#search").fill("<IMG")
    assert shown(page) == [1]


def test_thousands_of_findings_stay_light(visit: Open, long: Path) -> None:
    page = visit(long)
    assert words(page, "#count") == "2,000"
    assert 0 < len(shown(page)) < 200
    before = page.evaluate("document.documentElement.scrollHeight")
    seen, most = page.evaluate(SCROLL_THROUGH)
    assert sorted(seen) == list(range(1, 2001))
    assert most < 400
    after = page.evaluate("document.documentElement.scrollHeight")
    assert abs(after - before) < 0.02 * before
    # the last one is a key away from anywhere, the first one too
    page.keyboard.press("j")
    assert current(page) == 1
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    eventually(page, "document.getElementById('f2000')")
    page.locator("#f2000 .verdict.rejected").click()
    page.keyboard.press("k")
    assert current(page) == 1999
    page.locator("#search").fill("scene_0100")
    assert shown(page) == [300, 301, 302]


def test_nothing_found(visit: Open, run_writer: Callable[..., Path]) -> None:
    page = visit(run_writer([], quality=None, expected=None, low=None, high=None, error_rate=None))
    assert "nothing to review" in words(page, "#cards")
    assert not page.locator("#trust").is_visible()
    assert "0 of 0 reviewed" in words(page, "#progress")
    for pressed in ("j", "a", "u", "Enter", "ArrowDown"):
        page.keyboard.press(pressed)
    assert not page.locator("#viewer").is_visible()
    assert "null" not in words(page, "body")


def test_other_methods_tell_their_own_quality(visit: Open, run_writer: Callable[..., Path]) -> None:
    quality = {
        "title": "Meta classifier",
        "rows": [["AUROC", 0.91234], ["components", 12345], ["note", None]],
    }
    page = visit(run_writer(method="meta", quality=quality))
    text = words(page, "#trust")
    assert "Meta classifier" in text
    assert "0.912" in text
    assert page.locator("svg.reliability").count() == 0


def test_dark_and_light(visit: Open, small: Path) -> None:
    def brightness(page: Any) -> int:
        return int(
            page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
        )

    dark = visit(small, color_scheme="dark")
    assert brightness(dark) < 60
    dark.locator("#theme").click()
    assert brightness(dark) > 200
    dark.reload()
    assert brightness(dark) > 200
    assert brightness(visit(small, color_scheme="light")) > 200


def test_narrow_window_has_no_sideways_scroll(visit: Open, small: Path) -> None:
    page = visit(small)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("#save").is_visible()


def test_whole_images_are_shown_and_lead_to_their_findings(visit: Open, tmp_path: Path, fake: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    space, findings = fake.make_space(), fake.findings(9)
    picture = fake.draw(tmp_path, findings[0], space)
    rows = [
        {
            "image_id": f"scene_{n:04d}", "score": 0.99 - n / 10, "fault": 0.9 if n == 0 else 0.01,
            "fault_kind": "mirrored", "expected_errors": 1.25, "findings": 3, "reason": f"Reason <b>{n}</b>.",
            "picture": picture if n < 6 else None,
        }
        for n in range(8)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "images.parquet")
    page = visit(fake.write_run(tmp_path, findings))
    assert "1 label looks wrong as a whole" in words(page, "#images-body")
    assert page.locator(".image-row").count() == 4
    assert page.locator(".image-row.fault").count() == 1
    assert "Reason <b>0</b>." in words(page, ".image-row.fault")
    # the figures of the command line, under their names
    assert "fault probability 0.90" in " ".join(words(page, ".image-row.fault .score").split())
    assert "regions expected 1.3" in " ".join(words(page, ".image-row:not(.fault) .score >> nth=0").split())
    assert "suspicion" not in words(page, "#images-body")
    page.click("#more-images")
    assert page.locator(".image-row").count() == 6
    page.locator(".image-row button").nth(1).click()
    eventually(page, "document.getElementById('search').value === 'scene_0001'")
    assert set(shown(page)) == {3, 4, 5}


def test_runs_without_images_say_nothing_of_them(visit: Open, small: Path) -> None:
    assert not visit(small).locator("#images").is_visible()
