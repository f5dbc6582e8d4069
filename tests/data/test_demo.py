import numpy as np
import pytest

from trd.data import demo


@pytest.mark.parametrize(
    ("kind", "colour", "geometry"), [("stain", True, False), ("dent", False, True), ("chip", True, True)]
)
def test_defects_are_of_the_nature_they_are_called(kind: str, colour: bool, geometry: bool) -> None:
    """The same seed with and without the defect differs in the modality that the kind says, inside the mask."""
    rng = np.random.default_rng(3)
    part = demo._good_part(rng)
    damaged, mask = demo._DEFECTS[kind](np.random.default_rng(4), part)
    assert mask.any()
    assert part.inside[mask].all()
    assert np.any(damaged.colour != part.colour, axis=-1)[mask].any() == colour
    assert (damaged.height != part.height)[mask].any() == geometry
    assert np.abs(damaged.colour - part.colour)[~mask].max() < 0.2  # what fades out under the mask's limit is faint


def test_drawing_is_seeded_and_not_repeated(tmp_path) -> None:
    counts = {"train": 1, "validation": 1, "good": 1, "per_kind": 1}
    one, two = demo.draw_demo(tmp_path / "a", 7, **counts), demo.draw_demo(tmp_path / "b", 7, **counts)
    for path in sorted(one.rglob("*.png")):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()
    before = {p: p.stat().st_mtime_ns for p in one.rglob("*.png")}
    demo.draw_demo(tmp_path / "a", 7, **counts)
    assert before == {p: p.stat().st_mtime_ns for p in one.rglob("*.png")}
