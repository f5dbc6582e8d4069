"""Jobs of teaching: trainings that go on, trials on judged parts, packages, and the whole way."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import imagecodecs
import pytest
from fastapi.testclient import TestClient
from jobs import jobs_in_this_process
from pages import serving
from recipes import TINY as TINY_NETWORK
from rich.console import Console
from stations import client_of, until, upload
from taught import BASE, FIRST, TINY, WHY, asked, collect, ended, events_of, new_class

from trd.decision.kinds import KnownKinds
from trd.detector import Detector
from trd.training.digests import part_digests
from trd.types import UNLABELLED, SampleFiles
from trd_station.station import Station
from trd_station.teaching import rates
from trd_station.teaching.jobs import Job
from trd_station.teaching.settings import ClassSettings
from trd_station.teaching.trial import JudgedPart, Plan, Tried, _trained_on, trial

FILES = (("rgb", "000.png"), ("xyz", "000.tiff"))


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"recipe": "/etc/passwd"}, "no recipe is called '/etc/passwd'; there are: demo, lite-bank"),
        ({"recipe": "lite-rgb"}, "the recipe 'lite-rgb' needs rgb; 'biscuit' has rgb, xyz"),
        ({"settings": ["teacher.weights=/etc/passwd"]}, "only frame, scoring"),
        ({"settings": ["frame.size=65"]}, "frame.size"),
    ],
)
def test_jobs_that_cannot_be(empty, drawn: Path, job: dict, said: str) -> None:
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, "000", "001")
        refused = client.post(f"{BASE}/jobs", json={"kind": "train", **job})
        assert refused.status_code == 422
        assert said in refused.json()["detail"]
        assert client.get(f"{BASE}/jobs").json() == {"jobs": []}


def test_a_number_that_a_model_carries_is_not_given_again(empty, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the newest job's folder was deleted."""
    jobs_in_this_process(monkeypatch)
    station = empty()
    (station.settings.models / "patch-statistics-1").mkdir(parents=True)
    with client_of(station) as client:
        new_class(client)
        collect(client, drawn, "000", "001")
        assert asked(client, **{**FIRST, "kind": "check"}) == 2


def test_how_many_good_parts_are_needed() -> None:
    """A first detector calibrates on all parts where too few would be held out; a network never does."""
    settings = ClassSettings("biscuit", "colour and 3D", "anna", 0)
    first, network = settings.recipe("lite-fast", ()), settings.recipe("lite-rgb-normals", ())
    assert rates.parts_needed(rates.first_detector(settings)) == 19
    assert rates.promised_rate(rates.first_detector(settings), 19) == pytest.approx(0.05)
    assert rates.parts_needed(network) == 56  # a third of which is held out
    chosen = {count: rates.calibrated_well(first, count, ()) for count in (9, 10, 55, 56)}
    assert chosen == {9: (), 10: (rates.CROSS,), 55: (rates.CROSS,), 56: ()}
    assert rates.calibrated_well(first, 20, ("scoring.calibration=split",)) == ()
    assert rates.calibrated_well(network, 20, ()) == ()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_job_is_cancelled_or_goes_on_with_the_next_station(empty, drawn: Path, tmp_path: Path) -> None:
    slow = {"kind": "train", "recipe": "lite-residual", "settings": [*TINY_NETWORK, "training.epochs=200"]}
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        first, second, third = asked(client, **slow), asked(client, **FIRST), asked(client, **FIRST)
        assert client.get(f"/v1/jobs/{third}").json()["ahead"] == 2
        assert client.post(f"/v1/jobs/{third}/cancel").json()["state"] == "cancelled"
        until(lambda: client.get(f"/v1/jobs/{first}").json()["stage"])
        collect(client, drawn, "005")
        client.delete(f"{BASE}/parts/000")  # the job has its own list of parts
    station = empty()  # it was stopped while the first one ran
    with client_of(station) as client:
        until(lambda: client.get(f"/v1/jobs/{first}").json()["stage"])
        assert client.post(f"/v1/jobs/{first}/cancel").json()["state"] == "cancelled"
        assert client.post(f"/v1/jobs/{first}/cancel").json()["code"] == "conflict"
        assert ended(client, second)["model"] == f"patch-statistics-{second}"
        assert [job["state"] for job in client.get(f"{BASE}/jobs").json()["jobs"]] == ["cancelled", "done", "cancelled"]
        assert not (tmp_path / f"data/teach/biscuit/jobs/{first}/run").exists()
        assert "job 1, train by lite-residual: cancelled by local" in events_of(client)


def test_good_parts_from_the_history(station: Station, client: TestClient, send, drawn: Path) -> None:
    new_class(client)
    (good,), (chip,) = send("good", "000"), send("chip", "000")
    client.post(f"/v1/inspections/{chip['id']}/verdicts", json={"verdict": "defect"})
    told = client.post(f"{BASE}/parts/from-history", json={"inspections": [good["id"], chip["id"]]}).json()
    assert [(one["state"], one["reason"]) for one in told["parts"]] == [
        ("kept", None),
        ("refused", "its verdict is defect"),
    ]
    (part,) = client.get(f"{BASE}/parts").json()["parts"]
    kept = station.settings.data / "teach/biscuit/parts/train/rgb" / part["files"]["rgb"]
    assert kept.read_bytes() == (drawn / "biscuit/test/good/rgb/000.png").read_bytes()
    assert client.post(f"{BASE}/parts/from-history", json={"inspections": [99]}).json()["code"] == "no_inspection"


def test_a_trial_on_judged_parts(
    opened, run_folder: Path, other_run: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The serving model's limit lets everything through; the other one finds what people called defective."""
    jobs_in_this_process(monkeypatch)
    parts = {"chip": ("test/chip", "defect"), "dent": ("test/dent", "defect"), "one": ("test/good", "good")}
    with client_of(opened(run_folder, other_run)) as client:
        new_class(client)
        url = f"{BASE}/trials"
        assert "judge some" in client.post(url, json={"models": ["other/biscuit"]}).json()["detail"]
        for name, (folder, verdict) in {**parts, "trained": ("train/good", "good")}.items():
            (told,) = client.post(
                "/v1/classes/biscuit/inspections", files=upload(drawn / "biscuit" / folder, "000"), data={"part": name}
            ).json()["inspections"]
            client.post(f"/v1/inspections/{told['id']}/verdicts", json={"verdict": verdict, "kind": name})
        client.put("/v1/classes/biscuit/threshold", json={"reject_above": 1e6, **WHY})
        unknown = client.post(url, json={"models": ["none"]})
        assert "there are: other/biscuit" in unknown.json()["detail"] or "run/biscuit" in unknown.json()["detail"]
        number = client.post(url, json={"models": ["other/biscuit"]}).json()["id"]
        result = ended(client, number)["result"]
        assert (result["parts"], result["trained_on"], result["unusable"]) == (3, 1, [])
        now, other = result["models"]
        assert (now["serves"], now["reject_above"], now["found"]["hits"]) == (True, 1e6, 0)
        assert (other["serves"], other["found"]["count"], other["false_alarms"]["count"]) == (False, 2, 1)
        assert other["found"]["hits"] == result["disagreements"] - other["false_alarms"]["hits"] > 0
        assert other["found"]["low"] < other["found"]["value"] <= other["found"]["high"]
        flip = result["flips"][0]
        assert (flip["verdict"], flip["rejected"]) == ("defect", [False, True])
        for name in flip["pictures"]:
            shown = client.get(f"/v1/jobs/{number}/pictures/{name}")
            assert imagecodecs.jpeg_decode(shown.content).shape == (192, 192, 3)


@pytest.mark.slow
def test_a_taught_detector_becomes_a_package(empty, drawn: Path) -> None:
    pytest.importorskip("onnxscript")
    with client_of(empty()) as client:
        new_class(client)
        collect(client, drawn, *(f"{number:03d}" for number in range(6)))
        model = ended(client, asked(client, **FIRST))["model"]
        job = client.post(f"{BASE}/packages", json={"model": model, "runtime": "onnx"}).json()["id"]
        made = ended(client, job, 300)
        assert made["state"] == "done", made
        assert client.get(f"/v1/jobs/{job}/package").content[:2] == b"PK"
        loaded = client.post("/v1/classes/biscuit/models", json={"name": made["model"]}).json()
        assert loaded["engine"].startswith("ONNX Runtime")
        assert loaded["self_test"]["passed"]


def quickly(code: str) -> str:
    """With recipes that are fitted in seconds."""
    network = f'"recipe": "lite-residual", "settings": {[*TINY_NETWORK]!r}'
    first = f'"recipe": "patch-statistics", "settings": {TINY!r}'
    code = code.replace('"kind": "train", "step": "network"', f'"kind": "train", "step": "network", {network}')
    code = code.replace('{"kind": "train"}', f'{{"kind": "train", {first}}}')
    return code.replace('{"kind": "check"}', f'{{"kind": "check", {first}}}')


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_whole_way_as_the_docs_have_it(
    drawn: Path, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs/station-api.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.splitlines()) < 50
    shutil.copytree(drawn / "biscuit/train/good", tmp_path / "parts")
    shutil.copytree(drawn / "biscuit/test/good", tmp_path / "new/good")
    for kind in ("chip", "dent", "stain"):
        for path in (labelled / kind).glob("*/*"):
            place = tmp_path / "new/defect" / path.parent.name / f"{kind}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    monkeypatch.chdir(tmp_path)
    with serving(data=tmp_path / "data") as served:
        values: dict = {}
        exec(quickly(code.replace("http://127.0.0.1:8765", served.address)), values)
        models = values["station"].get("/v1/models").json()["models"]
    found = {one["name"]: one["found"] for one in values["trial"]["result"]["models"]}
    assert {name.rpartition("-")[0] for name in found} == {"patch-statistics", "lite-residual"}
    assert all(one["count"] == 6 for one in found.values())
    assert (values["lesson"]["kind"], values["lesson"]["state"]) == ("lesson", "done")
    states = {one["name"]: one["state"] for one in models}
    assert states.items() >= {"patch-statistics-2": "serving", "lite-residual-3": "ready"}.items()


def test_a_part_that_lacks_a_file_is_left_out_of_a_trial(run_folder: Path, drawn: Path, tmp_path: Path) -> None:
    """As one that another model decided, which needs less."""
    folder = drawn / "biscuit/test/good"
    files = {source: str(next((folder / source).iterdir())) for source in ("rgb", "xyz")}
    parts = (
        JudgedPart(1, "whole", "good", None, True, files, None),
        JudgedPart(2, "flat", "good", None, True, {"rgb": files["rgb"]}, None),
    )
    job = Job(1, "biscuit", "trial", tmp_path / "teach/biscuit/jobs/1", "anna", 0)
    Plan((Tried("run/biscuit", str(run_folder / "biscuit"), True, None),), parts).write(job)
    result = trial(job, Console(quiet=True))
    assert (result["parts"], result["trained_on"]) == (1, 0)
    (unusable,) = result["unusable"]
    assert unusable["id"] == 2
    assert "'flat' has no file 'xyz'" in unusable["reason"]


def test_parts_that_a_package_was_taught_are_known(quick_package: Path, drawn: Path) -> None:
    folders = [drawn / "biscuit/test" / kind for kind in ("chip", "dent")]
    files = [{source: str(folder / source / name) for source, name in FILES} for folder in folders]
    parts = [JudgedPart(number, "a part", "defect", None, True, paths, None) for number, paths in enumerate(files)]
    detector = Detector.load(quick_package, "cpu")
    assert _trained_on(quick_package, detector, parts) == set()
    paths = {source: Path(path) for source, path in files[1].items()}
    digest = part_digests([SampleFiles("dent", "predict", UNLABELLED, paths)])["dent"]
    detector.facts = replace(detector.facts, kinds=KnownKinds(("dent", "dent"), (1.0, 2.0), (digest, "another")))
    assert _trained_on(quick_package, detector, parts) == {1}
