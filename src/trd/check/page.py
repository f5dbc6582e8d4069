"""The findings as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment

from trd.check.check import LOOK, ClassCheck


def html_page(title: str, checks: Sequence[ClassCheck]) -> str:
    template = Environment(autoescape=True).from_string(
        resources.files("trd.check").joinpath("page.html.jinja").read_text("utf-8")
    )
    return template.render(title=title, checks=checks, look=f"{LOOK:g}")
