"""What fitting needs of the training samples is kept too: a second run reads none of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from caching import prepare_biscuits

from trd.config import Recipe, load_recipe
from trd.data.loading import load_sample
from trd.types import Sample, SampleFiles


@pytest.fixture
def decoded_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the samples whose files were read."""
    ids: list[str] = []

    def counted(files: SampleFiles, *arguments: object) -> Sample:
        ids.append(files.id)
        return load_sample(files, *arguments)

    monkeypatch.setattr("trd.training.prepare.load_sample", counted)
    return ids


@pytest.mark.parametrize("name", ["lite-residual", "mvtec3d-rgb-depth", "lite-rgb"])
def test_a_second_run_decodes_nothing(drawn: Path, name: str, folder: Path, decoded_ids: list[str]) -> None:
    recipe = load_recipe(name, ["frame.size=64"])
    first = prepare_biscuits(drawn, recipe)
    assert len(decoded_ids) == 6 + 10
    decoded_ids.clear()
    again = prepare_biscuits(drawn, recipe)
    assert decoded_ids == []
    assert again.pipeline.frame == first.pipeline.frame
    assert again.pipeline.ranges == first.pipeline.ranges
    assert again.record["frame"] == first.record["frame"]


def test_facts_follow_what_they_depend_on_alone(drawn: Path, folder: Path, decoded_ids: list[str]) -> None:
    overrides = ["frame.size=64"]
    prepare_biscuits(drawn, load_recipe("lite-residual", overrides))
    decoded_ids.clear()
    for override, count in (("frame.margin=0.2", 10), ("frame.part.clearance=0.002", 16), ("frame.cloud_scale=1", 16)):
        prepare_biscuits(drawn, load_recipe("lite-residual", [*overrides, override]))
        assert len(decoded_ids) == count, override
        decoded_ids.clear()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"null",
        lambda content: b"[1, 2]",
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 2].ljust(len(content), b"\0"),
        lambda content: content.replace(b"train/good", b"train/gone"),
        lambda content: b"\xff" * len(content),
    ],
)
def test_damaged_facts_are_replaced(
    drawn: Path, recipe: Recipe, folder: Path, decoded_ids: list[str], damage: Callable[[bytes], bytes]
) -> None:
    frame = prepare_biscuits(drawn, recipe).pipeline.frame
    whole = {path: path.read_bytes() for path in folder.glob("*.json")}
    decoded_ids.clear()
    first = min(whole)
    first.write_bytes(damage(whole[first]))
    assert prepare_biscuits(drawn, recipe).pipeline.frame == frame
    assert len(decoded_ids) == 1
    assert first.read_bytes() == whole[first]
