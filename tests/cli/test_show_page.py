"""Pages are opened only where there is a screen."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from dubio.cli.console import show_page


@pytest.mark.parametrize(
    ("screen", "opened"), [({}, 0), ({"DISPLAY": ":0"}, 1), ({"WAYLAND_DISPLAY": "w"}, 1)]
)
def test_no_browser_is_asked_for_without_a_screen(monkeypatch, tmp_path, screen, opened):
    asked: list[str] = []
    monkeypatch.setattr("dubio.cli.console.sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in screen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(click, "launch", asked.append)
    show_page(Path(tmp_path) / "report.html")
    assert len(asked) == opened
    assert all(url.startswith("file:///") for url in asked)
