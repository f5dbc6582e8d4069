"""Further good parts join what was fitted: the bank where they are far from it, the statistics by their cells."""

import numpy as np
import pytest
import torch
from fitting import maps

from trd.config import evidence_section, load_recipe
from trd.evidence.base import FitJob, Growing
from trd.evidence.detection import fit_evidence, grown_evidence
from trd.evidence.memory_bank.neighbours import farthest_points, nearest_distances
from trd.evidence.registry import MODULES, find_evidence
from trd.preprocess.parts import PreparedParts
from trd.types import PreparedSample, State

SIZE = 64
ENTRIES = "memory_bank.0.entries"  # of colour, the first modality


def part(seed: int, spotted: bool = False) -> PreparedSample:
    """Grey noise; a spotted part has a bright square in colour, at a place of its own."""
    random = np.random.default_rng(seed)
    images = {name: random.uniform(0.4, 0.6, (3, SIZE, SIZE)).astype(np.float32) for name in ("rgb", "normals")}
    if spotted:
        row, column = random.integers(8, 40, size=2)
        images["rgb"][:, row : row + 16, column : column + 16] = 1
    return PreparedSample(f"part-{seed}", "good", images, None, None, (SIZE, SIZE))


def parts(seeds: range, spotted: bool = False) -> PreparedParts:
    return PreparedParts(len(seeds), lambda index: part(seeds[index], spotted))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> FitJob:
    recipe = load_recipe("lite-bank-statistics", (f"frame.size={SIZE}", "evidence.memory_bank.turned=[]"))
    return FitJob(recipe, "grey", parts(range(6)), parts(range(50, 54)), tmp_path_factory.mktemp("job"), "cpu")


@pytest.fixture(scope="module")
def fitted(job: FitJob) -> State:
    return fit_evidence(job)


def test_new_good_parts_are_usual_then(job: FitJob, fitted: State) -> None:
    grown = grown_evidence(job, fitted, parts(range(20, 24), spotted=True))
    old, new = (maps(job.recipe, state, part(30, spotted=True)) for state in (fitted, grown))
    for branch in ("rgb_bank", "rgb_statistics"):
        assert new[branch].max() < 0.8 * old[branch].max()
    plain = [maps(job.recipe, state, part(31))["rgb_bank"] for state in (fitted, grown)]
    np.testing.assert_allclose(*plain, rtol=1e-3, atol=1e-3)


def test_the_bank_grows_only_by_what_is_far_from_it(job: FitJob, fitted: State) -> None:
    grown = grown_evidence(job, fitted, parts(range(20, 24), spotted=True))
    assert np.array_equal(grown[ENTRIES][: len(fitted[ENTRIES])], fitted[ENTRIES])
    added = grown[ENTRIES][len(fitted[ENTRIES]) :]
    assert 0 < len(added) <= -(-len(fitted[ENTRIES]) * 4 // 6)
    distances = nearest_distances(torch.from_numpy(added), torch.from_numpy(fitted[ENTRIES]))
    inside = nearest_distances(torch.from_numpy(fitted[ENTRIES][1:]), torch.from_numpy(fitted[ENTRIES][:1]))
    assert distances.min() > 0
    assert distances.max() > inside.median()
    ordinary = grown_evidence(job, fitted, parts(range(40, 42)))
    assert len(ordinary[ENTRIES]) - len(fitted[ENTRIES]) <= 2


def test_it_repeats_and_leaves_the_teacher(job: FitJob, fitted: State) -> None:
    one, two = (grown_evidence(job, fitted, parts(range(20, 22), spotted=True)) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert one.keys() == fitted.keys()
    teacher = [name for name in fitted if name.startswith("teacher.")]
    assert teacher
    assert all(one[name] is fitted[name] for name in teacher)


def test_what_is_trained_does_not_grow() -> None:
    assert load_recipe("lite-bank-statistics").growing == ("memory_bank", "patch_statistics")
    assert load_recipe("lite-crossmodal-mapping").growing == ()


@pytest.mark.parametrize("kind", MODULES)
def test_a_section_says_whether_its_evidence_grows(kind: str) -> None:
    assert evidence_section(kind).grows == isinstance(find_evidence(kind), Growing)


def test_the_farthest_from_what_is_known_come_first() -> None:
    random = torch.Generator().manual_seed(3)
    known = torch.rand(50, 4, generator=random)
    points = torch.cat([known + 0.01, known[:5] + 5, known[:5] + 9])
    chosen = list(farthest_points(points, 2, torch.Generator(), known=known))
    assert set(chosen) <= set(range(50, 60))
    assert sorted(float(points[index].mean()) > 8 for index in chosen) == [False, True]
