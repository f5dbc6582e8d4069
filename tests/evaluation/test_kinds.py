"""The table of suggested kinds."""

from pathlib import Path

from trd.decision.kinds import UNLIKE, KnownKinds
from trd.evaluation.kinds import kind_metrics, kind_rows, kind_summary, kinds_markdown
from trd.training.digests import part_digests
from trd.types import KindSuggestion, SampleFiles


def part(folder: Path, defect: str, number: int) -> SampleFiles:
    path = folder / f"{defect}-{number}.png"
    path.write_bytes(f"{defect} {number}".encode())
    return SampleFiles(f"{defect}/{number}", "test", defect, {"rgb": path})


def test_only_detected_defects_that_were_not_taught_are_counted(tmp_path: Path) -> None:
    files = [part(tmp_path, defect, n) for defect in ("bent", "cut", "dirt", "good") for n in range(2)]
    taught = part_digests(files)["bent/0"]
    known = KnownKinds(("bent", "cut"), (1.0, 2.0), (taught,))
    names = ["bent", "bent", "bent", None, "", "cut", "cut", None]
    suggestions = [None if name is None else KindSuggestion(name, {}) for name in names]
    kinds = kind_metrics(known, files, suggestions)
    assert kinds == {
        "names": ["bent", "cut", UNLIKE],
        "confusion": {"bent": {"bent": 1}, "cut": {"bent": 1}, "dirt": {"cut": 1, UNLIKE: 1}},
        "detected": 4,
        "right": 2,
        "taught": 1,
    }
    assert kind_rows(kinds)[3] == ["dirt", "0", "1", "1"]
    assert kind_summary(kinds).endswith("1 that it was taught are left out")
    assert "| dirt | 0 | 1 | 1 |" in kinds_markdown({"parts": {"kinds": kinds}, "others": {}})
