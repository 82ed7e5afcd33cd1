"""What all pages have in common: one HTML file that opens from disk and fetches nothing.

Style sheets, programs and data are inlined. The data travel as JSON, and the page builds its elements from
text, so a name can hold anything; a content security policy forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any


def render_page(
    template: str, data: Mapping[str, Any], *, styles: Sequence[str], programs: Sequence[str]
) -> str:
    """Fill a template: style sheets, programs and data inlined, programs pinned by their hashes.

    Args:
        template: file below ``page/``; it meets ``data``, ``payload`` (the data as JSON), ``style``,
            ``early`` (runs before anything is drawn), ``program`` and ``hashes``.
        data: plain data without NaN.
        styles: style sheets below ``page/``.
        programs: programs below ``page/``; they run as one closure in this order, so later files use what
            earlier ones define.
    """
    import jinja2

    loader = jinja2.FunctionLoader(_part)
    pages = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    early = _part("theme.js")
    program = "(() => {\n'use strict';\n" + "\n".join(_part(name) for name in programs) + "\n})();\n"
    return pages.get_template(template).render(
        data=data,
        payload=embed(data),
        style="\n".join(_part(name) for name in styles),
        early=early,
        program=program,
        hashes=" ".join(f"'sha256-{_sha256(text)}'" for text in (early, program)),
    )


def embed(data: Any) -> str:
    r"""JSON that can stand inside a script element, whatever the names in it.

    >>> embed({"id": "</script>"})
    '{"id":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # a lone surrogate (a file name that is not UTF-8) can't be written as UTF-8
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@cache
def _part(name: str) -> str:
    return resources.files("dubio.report").joinpath("page", name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
