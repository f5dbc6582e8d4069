"""Self-contained HTML pages from the templates that lie beside the code."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from trd.extras import explained


def filled(package: str, template: str, values: Mapping[str, object]) -> str:
    """The template of a package with its values, all of them escaped. Raises MissingExtraError without jinja2."""
    with explained("a page"):
        from jinja2 import Environment

    text = resources.files(package).joinpath(template).read_text("utf-8")
    return Environment(autoescape=True).from_string(text).render(values)
