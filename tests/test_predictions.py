"""Writing results, without a network."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trd.errors import DataError, OutputError
from trd.files import locked
from trd.predictions import Outcome, Output, PartResult, Written, call_key, part_outcomes, part_results, write_results
from trd.preprocess.parts import batches
from trd.types import Failure, Prediction, Sample, SampleFiles

DETECTOR: Any = SimpleNamespace(
    recipe=SimpleNamespace(modalities={"rgb": None}, branches=("rgb",), frame=SimpleNamespace(regions=())),
    facts=SimpleNamespace(kinds=None),
)


def prediction(name: str) -> Prediction:
    return Prediction(name, 1.0, 2.0, False, 0.5, np.zeros((64, 64), np.float32), {}, {"rgb": 1.0}, (1, 2), 3.0)


def results(count: int) -> Iterator[Outcome]:
    for index in range(count):
        yield Sample(str(index), {}), prediction(str(index))


def write_predictions(outcomes: Iterable[Outcome], out: Path, raw_maps: bool = False) -> Written:
    """From the first part on, whatever an interrupted call has left; without overlays."""
    output = Output(out, raw_maps, overlays=False)
    return write_results(lambda _: part_results(DETECTOR, outcomes, output), output)


PEAKS = """
import importlib.util, sys, tracemalloc
from pathlib import Path
spec = importlib.util.spec_from_file_location("tests_of_predictions", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
for count in (100, 5000):
    tracemalloc.start()
    tests.write_predictions(tests.results(count), Path(sys.argv[2]) / str(count))
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_memory_does_not_grow_with_the_parts(tmp_path: Path) -> None:
    """In a process of its own, where no other thread allocates."""
    done = subprocess.run(
        [sys.executable, "-c", PEAKS, __file__, str(tmp_path)], capture_output=True, text=True, check=True
    )
    few, many = map(int, done.stdout.split())
    assert many < few + 100_000
    assert len((tmp_path / "5000/scores.csv").read_text().splitlines()) == 5001


def test_a_full_disk_says_where_the_parts_done_so_far_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: Path, _data: bytes, durable: bool = True) -> None:
        raise OutputError("cannot write 2.png: No space left on device")

    def some() -> Iterator[Outcome]:
        yield from results(2)
        monkeypatch.setattr("trd.predictions.writing.write_whole", full)
        yield Sample("2", {}), prediction("2")

    (tmp_path / "scores.csv").write_text("earlier")
    with pytest.raises(OutputError, match=r"No space.*scores\.jsonl\.part holds the 2 parts done so far"):
        write_predictions(some(), tmp_path, raw_maps=True)
    assert (tmp_path / "scores.csv").read_text() == "earlier"
    lines = (tmp_path / "scores.jsonl.part").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["0", "1"]


def test_a_bad_first_part_leaves_what_an_interrupted_call_left(tmp_path: Path) -> None:
    (tmp_path / "scores.jsonl.part").write_text('{"id": "0"}\n')
    with pytest.raises(DataError, match="damaged"):
        write_predictions([(Sample("1", {}), DataError("damaged"))], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.jsonl.part"]


def test_a_bad_part_in_the_middle_leaves_a_complete_earlier_result(tmp_path: Path) -> None:
    write_predictions(results(5), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = [*results(2), (Sample("2", {}), DataError("2.png is damaged")), *results(1)]
    with pytest.raises(DataError, match=r"2\.png is damaged; .*\.part holds the 2 parts before it; earlier scores are"):
        write_predictions(again, tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("scores.jsonl.part").count(b"\n") == 2
    assert after == before


def test_two_do_not_predict_into_one_folder(tmp_path: Path) -> None:
    with locked(tmp_path, "predicting"), pytest.raises(OutputError, match="in use"):
        write_predictions(results(1), tmp_path)


class Picky:
    """Refuses the parts named in `bad`, and looks ahead by a batch, as detectors do."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad

    def predict_many(self, samples: Iterable[Sample | Failure]) -> Iterator[Prediction | Failure]:
        for batch in batches(samples, 3):
            for sample in batch:
                if isinstance(sample, Failure):
                    yield sample
                elif sample.id in self.bad:
                    yield Failure(sample.id, DataError(f"{sample.id} is bad"))
                else:
                    yield prediction(sample.id)


def load(files: SampleFiles) -> Sample:
    if files.id in ("0", "5", "6", "11"):
        raise DataError(f"{files.id} cannot be read")
    return Sample(files.id, {})


@pytest.mark.parametrize("bad", [(), ("1",), ("2", "3", "9"), ("10",)])
def test_every_part_has_its_outcome_in_order(bad: tuple[str, ...]) -> None:
    files = [SampleFiles(str(index), "predict", "unlabelled", {}) for index in range(12)]
    detector: Any = Picky(*bad)
    results = list(part_outcomes(detector, files, load))
    assert [sample.id for sample, _ in results] == [str(index) for index in range(12)]
    for sample, result in results:
        if sample.id in ("0", "5", "6", "11", *bad):
            assert str(result).startswith(f"{sample.id} ")
        else:
            assert isinstance(result, Prediction)
            assert result.id == sample.id


def test_a_kill_while_earlier_results_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call knows the earlier parts still, and deletes what is left of them."""
    write_predictions(results(4), tmp_path, raw_maps=True)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("trd.predictions.writing._delete_earlier", killed)
        with pytest.raises(KeyboardInterrupt):
            write_predictions(results(2), tmp_path, raw_maps=True)
    write_predictions(results(2), tmp_path, raw_maps=True)
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["0.tiff", "1.tiff"]


def test_the_same_task_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    files = parts(tmp_path, 12)
    key, output = call_key("cpu", files), Output(tmp_path / "out", overlays=False, keep_going=True)
    begun: list[int] = []

    def stopped(number: int) -> Iterator[PartResult]:
        begun.append(number)
        yield from part_results(DETECTOR, failing(10, number), output)
        raise KeyboardInterrupt

    def whole(number: int) -> Iterator[PartResult]:
        begun.append(number)
        return part_results(DETECTOR, failing(12, number), output)

    for _ in range(2):  # the second one stops before anything new
        with pytest.raises(KeyboardInterrupt):
            write_results(stopped, output, key)
    with (tmp_path / "out/scores.jsonl.part").open("a") as file:
        file.write('{"id": "cut o')
    written = write_results(whole, output, key)
    assert begun == [0, 8, 8]  # whole batches of eight
    assert (written.scored, written.failed) == (11, 1)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["scores.csv", "scores.jsonl"]
    lines = [json.loads(line) for line in (tmp_path / "out/scores.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [str(index) for index in range(12)]
    assert [line["id"] for line in lines if line["error"]] == ["3"]
    write_results(whole, output, key)
    assert begun[-1] == 0  # that was complete


@pytest.mark.parametrize("change", ["nothing", "settings", "file", "order", "killed", "other"])
def test_another_task_begins_anew(tmp_path: Path, change: str) -> None:
    files, output = parts(tmp_path, 12), Output(tmp_path / "out", overlays=False)
    begun: list[int] = []

    def stopped(number: int) -> Iterator[PartResult]:
        begun.append(number)
        yield from part_results(DETECTOR, list(results(9)), output)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(stopped, output, call_key("cpu", files))
    if change == "file":
        files[1].sources["rgb"].write_bytes(b"another picture")
    elif change == "killed":  # while a call begins anew: nobody knows what the rows are of
        (output.out / "scores.part.json").unlink()
    elif change == "other":
        (output.out / "scores.part.json").write_text("[")
    again = files[::-1] if change == "order" else files
    with pytest.raises(KeyboardInterrupt):
        write_results(stopped, output, call_key("cuda" if change == "settings" else "cpu", again))
    assert begun == ([0, 8] if change == "nothing" else [0, 0])


def test_a_bad_part_ends_a_call_that_goes_on_as_it_ends_one_from_the_start(tmp_path: Path) -> None:
    files, output = parts(tmp_path, 12), Output(tmp_path / "out", overlays=False)
    key = call_key("", files)

    def stopped(number: int) -> Iterator[PartResult]:
        yield from part_results(DETECTOR, failing(8, number, bad=9), output)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_results(stopped, output, key)
    with pytest.raises(DataError, match=r"^9 is damaged$"):
        write_results(lambda number: part_results(DETECTOR, failing(12, number, bad=9), output), output, key)
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["scores.csv", "scores.jsonl"]
    assert (tmp_path / "out/scores.jsonl").read_bytes().count(b"\n") == 9


def parts(folder: Path, count: int) -> list[SampleFiles]:
    """With a file each, that there is something to change."""
    for index in range(count):
        (folder / f"{index}.png").write_bytes(b"a picture")
    return [SampleFiles(str(i), "predict", "unlabelled", {"rgb": folder / f"{i}.png"}) for i in range(count)]


def failing(count: int, begin: int, bad: int = 3) -> Iterator[Outcome]:
    """Outcomes of the parts from `begin` on; number `bad` is damaged."""
    for index, outcome in enumerate(results(count)):
        if index >= begin:
            yield (Sample(str(bad), {}), DataError(f"{bad} is damaged")) if index == bad else outcome
