"""Evidence is a section, a module and a line: that of docs/architecture.md goes through everything, beside another."""

from pathlib import Path

import meandistance
import numpy as np
import pytest
from meandistance import COLOUR, KIND, toml
from rich.console import Console

import trd
from trd.config import EVIDENCE, Recipe, load_recipe
from trd.errors import CheckpointError, RecipeError, TRDError
from trd.runs import Run

PAGE = Path(__file__).parents[2] / "docs/architecture.md"
BRANCHES = ("rgb_mean", "rgb_statistics")
pytestmark = pytest.mark.usefixtures("mean_distance")


@pytest.fixture(scope="module")
def recipe(mean_distance: None, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("recipe") / "both.toml"
    path.write_text(toml("both", COLOUR, more="least = 0.05\n[evidence.patch_statistics]\ncomponents = 4\n"))
    return load_recipe(path)


@pytest.fixture(scope="module")
def run(recipe: Recipe, drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained, calibrated and evaluated. Read only."""
    folder = tmp_path_factory.mktemp("both") / "run"
    opened = Run.open(drawn, folder, recipe, None)
    metrics = opened.train_and_evaluate("cpu")["biscuit"]
    opened.raise_failures()
    assert set(metrics["maps"]) == {"fused", *BRANCHES}
    return folder


def sample(spot: int = 90) -> dict[str, np.ndarray]:
    rgb = np.full((192, 192, 3), 90, np.uint8)
    rgb[80:100, 80:100] = spot
    xyz = np.dstack([*np.mgrid[:192, :192] * 1e-3, np.full((192, 192), 0.4)]).astype(np.float32)
    return {"rgb": rgb, "xyz": xyz}


def test_the_page_shows_this_evidence() -> None:
    shown = PAGE.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    assert shown.strip()
    assert shown.strip() in Path(meandistance.__file__).read_text("utf-8")


def test_it_predicts_beside_another(run: Path) -> None:
    detector = trd.Detector.load(run, "cpu")
    assert detector.recipe.evidence[KIND].least == 0.05
    plain, spotted = detector.predict(sample()), detector.predict(sample(spot=0))
    assert tuple(plain.modality_maps) == BRANCHES
    assert spotted.score > plain.score
    assert spotted.modality_maps["rgb_mean"][90, 90] > spotted.modality_maps["rgb_mean"][10, 10]


def test_the_station_serves_it(run: Path, drawn: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from stations import client_of, upload

    from trd_station.settings import Settings
    from trd_station.station import Station

    station = Station.open(Settings(tmp_path / "station", device="cpu"), [str(run)])
    try:
        with client_of(station) as client:
            url, (colour, _) = "/v1/classes/biscuit/inspections", upload(drawn / "biscuit/test/chip", "000")
            answer = client.post(url, files=[colour])
        assert answer.status_code == 201, answer.text
        (inspection,) = answer.json()["inspections"]
        assert inspection["maps"] == ["fused", *BRANCHES]
    finally:
        station.close()


def test_it_is_exported(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from trd.export.export import ExportJob, export

    export(ExportJob(run, tmp_path / "both.trdm", "onnx"), Console(quiet=True))
    package, detector = (trd.Detector.load(path, "cpu") for path in (tmp_path / "both.trdm", run))
    ours, theirs = package.predict(sample(spot=0)), detector.predict(sample(spot=0))
    assert tuple(ours.modality_maps) == BRANCHES
    np.testing.assert_allclose(ours.modality_maps["rgb_mean"], theirs.modality_maps["rgb_mean"], rtol=1e-3, atol=1e-3)
    assert ours.score == pytest.approx(theirs.score, rel=1e-2)


def test_its_section_is_checked(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"evidence\.mean_distance\.least: Input should be a valid number"):
        recipe.changed("least=little")
    with pytest.raises(RecipeError, match=r"evidence\.mean_distance\.more: unknown key"):
        recipe.changed("evidence.mean_distance.more=3")
    assert recipe.changed("modalities.rgb.full_scale=4095").evidence == recipe.evidence
    assert recipe.identity()["evidence"][KIND] == {"least": 0.05}

    def refuse(self, modalities):
        raise ValueError(f"not with {', '.join(modalities)}")

    monkeypatch.setattr(meandistance.MeanDistanceConfig, "check", refuse)
    with pytest.raises(RecipeError, match=r"evidence\.mean_distance: not with rgb"):
        recipe.changed("seed=1")


def test_states_that_do_not_fit_are_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meandistance, "MeanGraph", lambda shape: meandistance.nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="do not fit the recipe"):
        trd.Detector.load(run, "cpu")


def test_a_detector_of_evidence_that_is_not_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EVIDENCE, KIND)
    with pytest.raises(TRDError, match=f"no evidence is called '{KIND}'; there are: crossmodal_mapping"):
        trd.Detector.load(run, "cpu")
