"""`trd predict --executor ray`: the same files as without it, whatever happens to workers and to the call."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trd.cli import app
from trd.cluster import connected, in_order
from trd.errors import DataError, RecipeError, TRDError

ray = pytest.importorskip("ray")
runner = CliRunner()
PARTS = 24
BAD = 21  # of the second chunk
KILLED_AT = 11
KEPT = 8  # of them, a whole batch


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    """One for all tests here, of two cores, for workers with one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        ray.init(num_cpus=2, log_to_driver=False, configure_logging=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def archive(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts to predict on. Read only."""
    root = tmp_path_factory.mktemp("archive")
    kinds = sorted((drawn / "biscuit/test").iterdir())
    for source, suffix in (("rgb", ".png"), ("xyz", ".tiff")):
        (root / source).mkdir()
        for index in range(PARTS):
            shutil.copy(kinds[index % len(kinds)] / source / f"000{suffix}", root / source / f"{index:03d}{suffix}")
    return root


@pytest.fixture(scope="module")
def alone(quick_run: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes. Read only."""
    out = tmp_path_factory.mktemp("alone")
    assert runner.invoke(app, command(quick_run, archive, out, "local"), catch_exceptions=False).exit_code == 0
    return out


def command(run: Path, parts: Path, out: Path, executor: str = "ray", *more: str) -> list[str]:
    return ["predict", str(run), "--input", str(parts), "--out", str(out), "--executor", executor, *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


def test_the_same_scores_maps_and_errors_as_of_one_process(
    quick_run: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a part that cannot be read. Paths are relative to where the command is given, also for the workers."""
    shutil.copytree(archive, tmp_path / "parts")
    (tmp_path / f"parts/rgb/{BAD:03d}.png").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)
    written = {}
    for executor in ("local", "ray"):
        more = ("--keep-going", "--raw-maps")
        result = runner.invoke(app, command(quick_run, Path("parts"), Path(executor), executor, *more))
        written[executor] = contents(Path(executor)), result.exit_code, str(result.exception)
    assert f"Ray: {PARTS} parts on 2 workers" in " ".join(result.output.split())
    assert written["ray"] == written["local"]
    rows = [json.loads(line) for line in written["ray"][0]["scores.jsonl"].splitlines()]
    assert len(rows) == PARTS
    assert "parts/rgb/021.png cannot be read" in rows[BAD]["error"]


KILLED = """
import os, signal, sys
from trd.cli import main
from trd.predictions import writing
writes, done = writing._write_pictures, []

def killed(*arguments):
    if len(done) == int(os.environ["KILLED_AT"]):
        os.kill(os.getpid(), signal.SIGTERM)
    done.append(arguments)
    writes(*arguments)

writing._write_pictures = killed
sys.argv = ["trd", *sys.argv[1:]]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_call_that_is_ended_goes_on(quick_run: Path, archive: Path, alone: Path, tmp_path: Path) -> None:
    """Ray has a handler of its own for SIGTERM. What SIGKILL leaves is the same as of one process (tests/test_cli.py):
    the call itself writes."""
    environment = os.environ | {"RAY_ADDRESS": ray.get_runtime_context().gcs_address, "KILLED_AT": str(KILLED_AT)}
    arguments = [sys.executable, "-c", KILLED, *command(quick_run, archive, tmp_path)]
    begun = subprocess.run(arguments, check=False, capture_output=True, env=environment)
    assert begun.returncode == 143, begun.stderr
    assert b"the same command goes on" in b" ".join(begun.stderr.split())
    partial = tmp_path / "scores.jsonl.part"
    rows = [json.loads(line) for line in partial.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{index:03d}" for index in range(KILLED_AT)]
    rows[4]["notes"] = "not scored again"
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = runner.invoke(app, command(quick_run, archive, tmp_path), catch_exceptions=False)
    assert f"going on after {KEPT} parts" in " ".join(result.output.split())
    assert f"Ray: {PARTS - KEPT} parts" in " ".join(result.output.split())
    after = contents(tmp_path)
    assert after["scores.jsonl"].count(b"not scored again") == 1
    assert {name: data.replace(b"not scored again", b"") for name, data in after.items()} == contents(alone)


@ray.remote(num_cpus=0)
class Squares:
    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay

    def ready(self) -> None:
        pass

    def work(self, number: int) -> int:
        import time

        time.sleep(self.delay)
        if number == 100:
            raise DataError("100 is too much")
        if number == 101:
            os._exit(1)
        return number * number


def test_results_come_in_order_and_not_many_are_begun_ahead() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(30):
            taken.append(number)
            yield number

    unequal = [Squares.remote(0.05), Squares.remote()]
    for number, result in enumerate(in_order(unequal, numbers(), ahead=3)):
        assert result == number * number
        assert len(taken) <= number + 1 + 6
    assert len(taken) == 30
    assert list(in_order(unequal, [])) == []


def test_a_worker_without_room_gets_no_work() -> None:
    crowded = Squares.options(num_cpus=3).remote()
    assert list(in_order([crowded, Squares.remote()], range(5))) == [0, 1, 4, 9, 16]


def test_errors_of_workers_come_in_their_place() -> None:
    found = in_order([Squares.remote()], [1, 100, 2])
    assert next(found) == 1
    with pytest.raises(DataError, match="^100 is too much$"):
        next(found)
    with pytest.raises(TRDError, match="the worker was lost: .*; the same command goes on after what is done"):
        list(in_order([Squares.remote()], [1, 101]))


def test_what_the_cluster_has() -> None:
    with connected("auto") as resources:
        assert sum(resources.cores) == 2
    with pytest.raises(RecipeError, match="--device cuda: the Ray cluster has no GPU"), connected("cuda"):
        pass


def test_no_cluster_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> None:  # what Ray raises, after minutes
        raise ConnectionError("Failed to connect to Ray cluster at 192.0.2.2:1")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(RecipeError, match=r"in RAY_ADDRESS: .*192\.0\.2\.2:1"), connected("auto"):
        pass


def test_a_detector_that_changed_meanwhile(trained: Path, archive: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from trd.detector import Detector
    from trd.errors import CheckpointError
    from trd.predictions import DetectorReference

    reference = DetectorReference.of(Detector.load(trained, "cpu"), (), trained, "cpu", False, None, "")
    with pytest.raises(CheckpointError, match="has changed since this call began"):
        replace(reference, calibration="another").load()
    with pytest.raises(DataError, match="must see detector and parts under the same paths"):
        replace(reference, folder=tmp_path / "none").load()
