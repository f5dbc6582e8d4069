"""The findings as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from trd.check.check import LOOK, ClassCheck
from trd.pages import filled


def html_page(title: str, checks: Sequence[ClassCheck]) -> str:
    return filled("trd.check", "page.html.jinja", {"title": title, "checks": checks, "look": f"{LOOK:g}"})
