"""Take the README's pictures of the reports: ``python scripts/report_picture.py dubio-demo calibrated``.

Needs a run of ``dubio demo``, one of ``dubio calibrate`` on such scenes, playwright and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images"


def main(run: str, calibrated: str | None = None) -> None:
    """Open the reports and save what a user sees of them."""
    report = (Path(run) / "audit" / "report.html").resolve()
    TARGET.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 930}, color_scheme="light")
        page.goto(report.as_uri())
        page.wait_for_timeout(1500)
        _save(page.screenshot(), "report.jpg")
        page.evaluate("document.querySelector('main').lastElementChild.scrollIntoView()")
        page.get_by_text("Class colours").first.scroll_into_view_if_needed()
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(1500)
        _save(page.screenshot(), "findings.jpg")
        if calibrated is not None:
            page.goto((Path(calibrated) / "report.html").resolve().as_uri())
            page.wait_for_timeout(1500)
            _save(page.screenshot(), "reliability.jpg")
        browser.close()


def _save(png: bytes, name: str) -> None:
    Image.open(BytesIO(png)).convert("RGB").save(TARGET / name, quality=85)


if __name__ == "__main__":
    main(*sys.argv[1:3])
