"""Recipes of evidence that is fitted in no time, so that comparing is what takes time."""

from __future__ import annotations

from pathlib import Path

import pytest
from meandistance import COLOUR, toml

from trd.config import Recipe, load_recipe


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """Recipe files: colour and depth, colour alone."""
    texts = {"both": toml("both"), "colour": toml("colour", COLOUR)}
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return [tmp_path / f"{name}.toml" for name in texts]


@pytest.fixture
def recipes(written: list[Path]) -> list[Recipe]:
    return [load_recipe(path) for path in written]


@pytest.fixture
def _no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trd_bench.compare.measure.fit_class", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("trd_bench.compare.measure.evaluate_files", lambda *_: pytest.fail("measured again"))
