"""The documentation site: every page is reached, links lead somewhere, and the built pages ask no other host."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import trd
from trd.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def anchors(page: Path) -> set[str]:
    """Of the headings, as the code host makes them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_a_toctree() -> None:
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```$", (DOCS / "index.md").read_text("utf-8"), re.M | re.S)
    lines = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    listed = [re.sub(r".*<(.+)>", r"\1", line) for line in lines]  # "Title <page>" or "page"
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    """As the code host follows them: README and the pages where they lie."""
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("name", ["patch-statistics", "lite-rgb-normals", "lite-residual"])
def test_a_recipe_of_3d_only_is_made_as_the_page_says(name: str, tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["recipes", name]).output
    tables = re.split(r"^(?=\[)", printed, flags=re.M)
    kept = "".join(table for table in tables if not table.startswith("[modalities.rgb]"))
    (tmp_path / "mine.toml").write_text(kept.replace("filter = false\n", ""))
    assert list(trd.load_recipe(str(tmp_path / "mine.toml")).modalities) == ["normals"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("furo", reason="the site's generator is the extra `docs`")
    pytest.importorskip("myst_parser", reason="the site's generator is the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-n", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_the_pages_ask_no_other_host(site: Path) -> None:
    """Scripts, styles, pictures and fonts; a link that a reader follows may lead anywhere."""
    loads = re.compile(r"""<(?:script|img|iframe|source|object)\b[^>]*?\b(?:src|data)=["'](?:https?:)?//[^"']*""", re.S)
    linked = re.compile(r"""<link\b[^>]*?\bhref=["'](?:https?:)?//[^"']*""", re.S)
    styled = re.compile(r"""url\(\s*["']?(?:https?:)?//|@import\s+["'](?:https?:)?//""")
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not loads.findall(text) + linked.findall(text), page.name
    sheets = list(site.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert not styled.search(sheet.read_text("utf-8")), sheet.name


def test_the_rest_reference_has_every_route(site: Path) -> None:
    reference = runpy.run_path(str(DOCS / "rest_reference.py"))
    text = re.sub(r"<[^>]+>", "", (site / "rest-reference.html").read_text("utf-8"))
    openapi = reference["document"]()
    assert len(reference["routes"](openapi)) > 30
    for method, path, _ in reference["routes"](openapi):
        assert f"{method} {path}" in text
    assert re.search(r"review_above\s+number", text), "fields of answers"
    assert reference["OTHER"] not in text, "a route belongs to no group: add its path to GROUPS"


def test_the_python_reference_has_every_public_name(site: Path) -> None:
    text = (site / "python-reference.html").read_text("utf-8")
    for name in trd.__all__:
        home = getattr(trd, name).__module__
        assert f'id="trd.{name}"' in text or f'id="{home}.{name}"' in text, name
