import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from eyecandies import draw_eyecandies

from trd.config import Recipe, load_recipe
from trd.errors import CheckpointError, DataError, MissingExtraError, RecipeError, TRDError
from trd_bench.reproduce.published import BENCHMARKS, MVTEC3D
from trd_bench.reproduce.reproduce import reproduce
from trd_bench.reproduce.tables import Result, Table, ablation_tables, benchmark_tables, to_latex, to_markdown
from trd_bench.reproduce.variants import ablation

SHORT = (
    "frame.size=64",
    "training.epochs=1",
    "training.batch_size=2",
    "precision=fp32",
    "scoring.stand_ins=false",
)


@pytest.fixture(scope="module")
def mvtec(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the ten classes, tiny."""
    root = tmp_path_factory.mktemp("mvtec3d")
    for name in ("bagel", "cookie"):
        shutil.copytree(drawn / "biscuit", root / name)
    return root


def cells(markdown: str, heading: str, row: str) -> list[str]:
    part = markdown.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    (line,) = [line for line in part.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("| ").split("|")][1:]


def test_the_table_beside_the_published_numbers(mvtec: Path, tmp_path: Path) -> None:
    recipe = load_recipe("lite-rgb", SHORT)
    results = reproduce("mvtec3d", mvtec, tmp_path, recipe, seeds=(42, 43, 42), device="cpu")
    assert [(r.seed, r.class_name) for r in results] == [(s, c) for s in (42, 43) for c in ("bagel", "cookie")]
    assert "continued" not in json.loads((tmp_path / "full/seed-42/run.json").read_text())  # by its own jobs
    table = (tmp_path / "table.md").read_text()
    on_disk = {
        (s, c): json.loads((tmp_path / f"full/seed-{s}/{c}/metrics.json").read_text())
        for s in (42, 43)
        for c in ("bagel", "cookie")
    }
    for heading, read, key in (
        ("I-AUROC", lambda m: m["maps"]["fused"], "image_auroc"),
        ("AUPRO@1, exact", lambda m: m["maps"]["fused"], "aupro_1"),
        ("AUPRO@30, 100 thresholds as published", lambda m: m["sampled_aupro"], "aupro_30"),
    ):
        values = {place: 100 * read(metrics)[key] for place, metrics in on_disk.items()}
        per_seed = [(values[s, "bagel"] + values[s, "cookie"]) / 2 for s in (42, 43)]
        bagel = [values[s, "bagel"] for s in (42, 43)]
        ours = cells(table, heading, "ours")
        assert ours[0] == f"{np.mean(bagel):.1f} ± {np.std(bagel, ddof=1):.1f}"
        assert ours[-1] == f"{np.mean(per_seed):.1f} ± {np.std(per_seed, ddof=1):.1f}"
    # published: per class, and the mean over these two classes only
    assert cells(table, "I-AUROC", "TRD rgb+normals (arXiv 2412.08949)") == ["98.9", "97.0", f"{(98.9 + 97) / 2:.1f}"]
    assert "M3DM" not in table  # its ten-class mean would not compare
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = next(r for r in rows if r["map"] == "fused" and not r["defect"])
    assert float(first["aupro_1_100_thresholds"]) == on_disk[42, "bagel"]["sampled_aupro"]["aupro_1"]
    assert "\\begin{tabular}{lccc}" in (tmp_path / "table.tex").read_text()


def test_variants_of_the_ablation(mvtec: Path, tmp_path: Path) -> None:
    recipe = load_recipe("lite-residual", [*SHORT, "scoring.stand_ins=true"])
    names = tuple(ablation(recipe))
    assert names == (
        "only-rgb", "only-normals", "no-tuners", "filter", "both-tuners", "full", "joint-teacher",
        "no-reverse_distillation", "no-patch_statistics",
    )  # fmt: skip
    names = ("only-normals", "full", "joint-teacher", "no-patch_statistics")  # the others differ from these in settings
    results = reproduce("folder", mvtec, tmp_path, recipe, classes=["bagel"], variants=names, device="cpu")
    maps = {r.variant: set(r.metrics["maps"]) - {"fused"} for r in results}
    statistics = {"rgb_statistics", "normals_statistics"}
    assert maps == {
        "only-normals": {"normals", "normals_statistics"},
        "full": {"rgb", "normals"} | statistics,
        "joint-teacher": {"joint"} | statistics,
        "no-patch_statistics": {"rgb", "normals"},
    }
    table = (tmp_path / "table.md").read_text()
    for variant in names:
        assert len(cells(table, "Fused map", variant)) == 4
    assert "bagel: dent" in table
    assert "published" not in table.split("## Fused map")[1]


def test_eyecandies(tmp_path: Path) -> None:
    draw_eyecandies(tmp_path / "data")
    recipe = load_recipe("eyecandies-rgb-normals", [*SHORT, "teacher.name=efficientnet_lite0"])
    reproduce("eyecandies", tmp_path / "data", tmp_path / "out", recipe, device="cpu")
    ours = cells((tmp_path / "out/table.md").read_text(), "P-AUROC", "ours")
    assert len(ours) == 3
    assert all(0 < float(cell) <= 100 for cell in ours)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(mvtec: Path, tmp_path: Path, quick: Recipe) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from trd.cli import main; main()", "reproduce", "mvtec3d", "--data", str(mvtec)]
    command += ["--recipe", "patch-statistics", "--out", str(out), "--device", "cpu"]
    command += ["--set", "frame.size=64", "--set", "scoring.stand_ins=false"]
    first = out / "full/seed-42/bagel"
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (first / "metrics.json").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "full/seed-42/cookie/metrics.json").exists()
    before = (first / "weights.safetensors").stat().st_mtime_ns
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    assert (first / "weights.safetensors").stat().st_mtime_ns == before
    assert len(cells((out / "table.md").read_text(), "I-AUROC", "ours")) == 3
    # a complete one has nothing to do, and another recipe is refused
    with pytest.raises(CheckpointError, match="holds a run of another recipe"):
        reproduce("mvtec3d", mvtec, out, quick.changed("scoring.sigma=1"), device="cpu")


def test_a_failed_job_is_named_and_the_others_are_done(mvtec: Path, tmp_path: Path, quick: Recipe) -> None:
    data = Path(shutil.copytree(mvtec, tmp_path / "data"))
    broken = data / "bagel/train/good/rgb/000.png"
    content = broken.read_bytes()
    broken.write_bytes(b"no picture")
    with pytest.raises(TRDError, match=r"1 of 2 jobs failed:\n  full, seed 42, bagel: .*000.png"):
        reproduce("mvtec3d", data, tmp_path / "out", quick, device="cpu")
    assert cells((tmp_path / "out/table.md").read_text(), "I-AUROC", "ours")[0] == "-"
    broken.write_bytes(content)
    assert len(reproduce("mvtec3d", data, tmp_path / "out", quick, device="cpu")) == 2


def test_wrong_names_are_refused(mvtec: Path, tmp_path: Path, drawn: Path) -> None:
    recipe = load_recipe("lite-residual", SHORT)
    with pytest.raises(RecipeError, match="no benchmark is called 'mvtec'; there are: mvtec3d, eyecandies, folder"):
        reproduce("mvtec", mvtec, tmp_path, recipe)
    with pytest.raises(RecipeError, match="no variant is called 'none'"):
        reproduce("mvtec3d", mvtec, tmp_path, recipe, variants=["none"])
    with pytest.raises(RecipeError, match="no executor is called 'slurm'"):
        reproduce("mvtec3d", mvtec, tmp_path, recipe, executor="slurm")
    with pytest.raises(DataError, match="holds no class 'bagel'; there are: biscuit"):
        reproduce("mvtec3d", drawn, tmp_path, recipe)
    unlabelled = Path(shutil.copytree(mvtec, tmp_path / "unlabelled"))
    shutil.rmtree(unlabelled / "cookie/test")
    with pytest.raises(DataError, match=r"cookie has no test split: .*--classes"):
        reproduce("mvtec3d", unlabelled, tmp_path / "out", recipe)
    assert not (tmp_path / "out").exists()  # nothing was trained before
    with pytest.raises(RecipeError, match="nothing can be taken away"):
        ablation(load_recipe("lite-rgb"))
    joint = load_recipe("lite-residual", ["student.filter=true", "student.branches=joint"])
    with pytest.raises(RecipeError, match="has a joint teacher"):
        ablation(joint)


@pytest.mark.parametrize(
    ("own", "others"),
    [
        ((False, False), ["filter", "amplifier", "both-tuners"]),
        ((True, False), ["no-tuners", "amplifier", "both-tuners"]),
        ((False, True), ["no-tuners", "filter", "both-tuners"]),
        ((True, True), ["no-tuners", "filter", "amplifier"]),
    ],
)
def test_an_ablation_lists_the_tuners_that_the_recipe_has_not(own: tuple[bool, bool], others: list[str]) -> None:
    switches = [f"student.{tuner}={str(on).lower()}" for tuner, on in zip(("filter", "amplifier"), own, strict=True)]
    recipe = load_recipe("lite-residual", [*switches, "evidence.patch_statistics=false"])
    variants = ablation(recipe)
    assert list(variants) == ["only-rgb", "only-normals", *others, "full", "joint-teacher"]
    assert variants["full"] == recipe
    students = {name: other.evidence["reverse_distillation"].student for name, other in variants.items()}
    expected = {"no-tuners": (0, 0), "filter": (1, 0), "amplifier": (0, 1), "both-tuners": (1, 1), "full": own}
    for name in (*others, "full"):
        assert (students[name].filter, students[name].amplifier) == expected[name]
    for name in ("only-rgb", "only-normals", "joint-teacher"):  # one branch has none to switch off
        assert students[name].filter
        assert students[name].amplifier
    assert students["joint-teacher"].branches == "joint"


def test_an_ablation_takes_each_evidence_away() -> None:
    recipe = load_recipe("lite-residual")
    variants = ablation(recipe)
    assert variants["no-patch_statistics"].branches == ("rgb", "normals")
    assert variants["no-patch_statistics"].evidence == {"reverse_distillation": recipe.evidence["reverse_distillation"]}
    kinds = {name: set(other.evidence) for name, other in variants.items() if not name.startswith("no-patch")}
    assert kinds.pop("no-reverse_distillation") == {"patch_statistics"}
    assert all(listed == set(recipe.evidence) for listed in kinds.values())
    three = ablation(
        load_recipe("lite-memory-bank", ["evidence.crossmodal_mapping=true", "evidence.patch_statistics=true"])
    )
    assert {name: tuple(other.evidence) for name, other in three.items()} == {
        "full": ("memory_bank", "crossmodal_mapping", "patch_statistics"),
        "no-memory_bank": ("crossmodal_mapping", "patch_statistics"),
        "only-memory_bank": ("memory_bank",),
        "no-crossmodal_mapping": ("memory_bank", "patch_statistics"),
        "only-crossmodal_mapping": ("crossmodal_mapping",),
        "no-patch_statistics": ("memory_bank", "crossmodal_mapping"),
        "only-patch_statistics": ("patch_statistics",),
    }
    beside_a_mapping = ablation(recipe.changed("evidence.crossmodal_mapping=true"))
    assert tuple(beside_a_mapping["only-rgb"].evidence) == ("reverse_distillation", "patch_statistics")


def test_published_numbers() -> None:
    depth, normals = BENCHMARKS["mvtec3d"].published[:2]
    assert normals.mean == {"image_auroc": 98.4, "pixel_auroc": 99.6, "aupro_30": 97.9}
    for row, mean in ((depth, 96.2), (normals, 98.4)):
        assert set(row.image_auroc) == set(MVTEC3D)
        assert sum(row.image_auroc.values()) / 10 == pytest.approx(mean, abs=0.06)


def fake(variant: str, seed: int, cls: str, auroc: float) -> Result:
    values = {"image_auroc": auroc, "pixel_auroc": 0.9, "aupro_30": 0.8, "aupro_1": 0.3}
    sampled = {"thresholds": 100, "aupro_30": 0.7, "aupro_1": 0.2}
    return Result(
        variant, seed, cls, {"maps": {"fused": values, "rgb": values}, "sampled_aupro": sampled, "by_defect": {}}
    )


def test_all_ten_classes_show_every_published_mean() -> None:
    results = [fake("full", 42, cls, 0.5) for cls in MVTEC3D]
    tables = benchmark_tables(results, BENCHMARKS["mvtec3d"], MVTEC3D, "test")
    text = to_markdown(tables)
    assert cells(text, "I-AUROC", "G2SF (2025)")[-1] == "97.1"
    assert cells(text, "AUPRO@1, 100 thresholds as published", "G2SF (2025)")[-1] == "46.8"
    assert "G2SF" not in text.split("## AUPRO@1, exact")[1]
    assert cells(text, "I-AUROC", "ours")[-1] == "50.0"


def test_differences_are_paired_by_class_and_seed() -> None:
    full = [fake("full", s, c, v) for s, c, v in ((1, "a", 0.9), (1, "b", 0.8), (2, "a", 0.9), (2, "b", 0.8))]
    none = [fake("no-tuners", s, c, v) for s, c, v in ((1, "a", 0.8), (1, "b", 0.6), (2, "a", 0.7), (2, "b", 0.8))]
    text = to_markdown(ablation_tables(none + full, ("a", "b")))
    differences = [-10, -20, -20, 0]
    expected = f"{np.mean(differences):+.1f} ± {np.std(differences, ddof=1) / 2:.1f} (4)"
    assert cells(text, "Against the full method", "no-tuners")[0] == expected
    assert cells(text, "Fused map", "full")[0] == "85.0 ± 0.0"


def test_latex_is_escaped() -> None:
    text = to_latex([Table("A_b", "50 %", ("x", "cable_gland"), (("ours", "1 ± 2"),))])
    assert "cable\\_gland" in text
    assert "50 \\%" in text
    assert "$\\pm$" in text


@pytest.mark.slow
def test_ray_runs_the_same_jobs(mvtec: Path, tmp_path: Path, quick: Recipe) -> None:
    pytest.importorskip("ray")
    reproduce("mvtec3d", mvtec, tmp_path / "ray", quick, executor="ray", device="cpu")
    reproduce("mvtec3d", mvtec, tmp_path / "local", quick, device="cpu")
    assert (tmp_path / "ray/table.md").read_text() == (tmp_path / "local/table.md").read_text()


def test_without_ray_the_remedy_is_named(mvtec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--executor ray needs the extra 'ray'"):
        reproduce("mvtec3d", mvtec, tmp_path, load_recipe("lite-residual", SHORT), executor="ray")


def test_a_job_killed_after_its_detector_is_put_right(
    mvtec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """detector.json was there, training.json did not name it yet, and the checkpoints were there still."""
    from trd.training import fit

    recipe = load_recipe("lite-rgb", SHORT)
    real, calls = fit.write_json, []

    def killed(path: Path, values: object) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(path, values)

    with monkeypatch.context() as patch:
        patch.setattr(fit, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            reproduce("mvtec3d", mvtec, tmp_path, recipe, classes=["bagel"], device="cpu")
    folder = tmp_path / "full/seed-42/bagel"
    assert (folder / "detector.json").exists()
    assert "detector" not in json.loads((folder / "training.json").read_text())
    reproduce("mvtec3d", mvtec, tmp_path, recipe, classes=["bagel"], device="cpu")
    detector = json.loads((folder / "detector.json").read_text())
    assert json.loads((folder / "training.json").read_text())["detector"] == detector["id"]
    assert not (folder / "checkpoints").exists()
    record = json.loads((folder.parent / "run.json").read_text())
    del record["progress"]["bagel"]["job"]  # as after a kill between the results and this note
    (folder.parent / "run.json").write_text(json.dumps(record))
    reproduce("mvtec3d", mvtec, tmp_path, recipe, classes=["bagel"], device="cpu")
    assert json.loads((folder.parent / "run.json").read_text())["progress"]["bagel"]["job"]["state"] == "done"
