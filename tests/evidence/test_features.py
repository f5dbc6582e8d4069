from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from trd.config import load_recipe
from trd.errors import RecipeError
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.restored import build_network
from trd.evidence.reverse_distillation.training import trainer as fit_module
from trd.evidence.reverse_distillation.training.features import TeacherFeatures, teacher_features
from trd.evidence.reverse_distillation.training.views import UPRIGHT, View, images_in_view
from trd.stored import WEIGHTS
from trd.teachers.frozen import FrozenTeacher, TeacherGraph
from trd.training.fit import fit_class
from trd.types import ClassFolder, PreparedSample

PLAIN = [
    "frame.size=64",
    "training.epochs=2",
    "training.batch_size=2",
    "precision=fp32",
    "training.augment=none",
    "scoring.stand_ins=false",
]


LEVEL_VALUES = sum(c * (64 // s) ** 2 for c, s in ((24, 4), (40, 8), (112, 16)))
MIRRORED = View(1, True)


RECIPE = load_recipe("lite-residual")


@pytest.fixture(scope="module")
def teacher() -> FrozenTeacher:
    return FrozenTeacher(TeacherGraph(RECIPE.teacher), torch.device("cpu"))


@pytest.fixture(scope="module")
def network(teacher: FrozenTeacher) -> TunedReverseDistillation:
    return build_network(RECIPE, teacher.channels, teacher.linear_outputs)


@pytest.fixture
def teacher_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many parts each call of the teacher while fitting got."""
    calls: list[int] = []
    pyramids = FrozenTeacher.pyramids

    def counted(self, images):
        calls.append(len(next(iter(images.values()))))
        return pyramids(self, images)

    monkeypatch.setattr(FrozenTeacher, "pyramids", counted)
    return calls


def random_parts(count: int) -> list[PreparedSample]:
    random = torch.Generator().manual_seed(0)
    images = [{n: torch.rand(3, 64, 64, generator=random).numpy() for n in ("rgb", "normals")} for _ in range(count)]
    return [PreparedSample(f"part-{index}", "good", image, None, None, (64, 64)) for index, image in enumerate(images)]


@pytest.fixture
def made(teacher: FrozenTeacher, network: TunedReverseDistillation):
    def features(count: int, views: int = 2, limit: float = 2**30, half: bool = False) -> TeacherFeatures:
        settings = {"count": count, "views": views, "limit": limit, "half": half}
        return TeacherFeatures(teacher, network, {"normals": "y_down"}, **settings)

    return features


@pytest.fixture
def anew(teacher: FrozenTeacher, network: TunedReverseDistillation):
    def pyramids(parts: Sequence[PreparedSample], views: Sequence[View]):
        images: dict[str, list[torch.Tensor]] = {"rgb": [], "normals": []}
        for part, view in zip(parts, views, strict=True):
            tensors = {name: torch.from_numpy(image) for name, image in part.images.items()}
            for name, image in images_in_view(tensors, {"normals": "y_down"}, view).items():
                images[name].append(image)
        return network.scaled(teacher.pyramids({name: torch.stack(stack) for name, stack in images.items()}))

    return pyramids


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("limit", [0, 5 * 2 * 2 * 4 * LEVEL_VALUES, 2**30])
def test_they_are_the_teachers_whether_kept_or_not(made, anew, half: bool, limit: float) -> None:
    parts = random_parts(6)
    features = made(len(parts), limit=limit, half=half)
    for turn in (0, 1, 2):  # again and again, in other company
        chosen = parts[turn:] + parts[:turn]
        views = [UPRIGHT if (index + turn) % 2 else MIRRORED for index in range(len(parts))]
        for start in (0, 3):
            ours = features(chosen[start : start + 3], views[start : start + 3])
            theirs = anew(chosen[start : start + 3], views[start : start + 3])
            for name in theirs:
                for one, other in zip(ours[name], theirs[name], strict=True):
                    assert one.dtype == torch.float32
                    torch.testing.assert_close(one, other, rtol=1e-3 if half else 1e-4, atol=1e-4)


def test_the_teacher_sees_each_view_once(made, teacher_calls: list[int]) -> None:
    parts = random_parts(3)
    features = made(3)
    first = features(parts, [UPRIGHT, MIRRORED, UPRIGHT])
    assert teacher_calls == [1, 1, 1]
    again = features(parts[::-1], [UPRIGHT, MIRRORED, UPRIGHT])
    assert teacher_calls == [1, 1, 1]
    assert all(torch.equal(level.flip(0), other) for level, other in zip(first["rgb"], again["rgb"], strict=True))
    features(parts, [MIRRORED, MIRRORED, UPRIGHT])
    assert teacher_calls == [1, 1, 1, 1]
    features.forget()
    assert features.size == 0


def test_a_part_gets_the_same_to_the_bit_in_any_company(made) -> None:
    parts = random_parts(4)
    together = made(4)(parts, [UPRIGHT] * 4)
    other_order = made(4)
    other_order(parts[3:], [UPRIGHT])
    alone = other_order(parts[:1], [UPRIGHT])
    assert all(torch.equal(one[:1], two) for one, two in zip(together["normals"], alone["normals"], strict=True))


def test_memory_is_bounded_and_the_same_parts_are_kept_in_every_order(made, teacher_calls: list[int]) -> None:
    parts, one = random_parts(40), 2 * 4 * LEVEL_VALUES
    kept = []
    for order in (parts, parts[::-1]):
        features = made(40, views=1, limit=20 * one)
        for part in order:
            features([part], [UPRIGHT])
        assert 10 * one < features.size < 30 * one  # half of them, give or take
        teacher_calls.clear()
        for part in parts:
            before = len(teacher_calls)
            features([part], [UPRIGHT])
            kept.append((part.id, len(teacher_calls) == before))
    assert kept[:40] == kept[40:]
    halved = made(40, views=1, half=True)
    halved(parts[:2], [UPRIGHT] * 2)
    assert halved.size == one


def test_parts_that_are_not_kept_are_computed_together_also_in_the_first_step(made, teacher_calls: list[int]) -> None:
    """A resumed training begins with other parts; what shares a call must not depend on that."""
    parts, one = random_parts(40), 2 * 4 * LEVEL_VALUES
    batch = parts[:8]
    seen_before = made(40, views=1, limit=20 * one)
    seen_before(parts[20:21], [UPRIGHT])
    teacher_calls.clear()
    later = seen_before(batch, [UPRIGHT] * 8)
    calls = sorted(teacher_calls)
    teacher_calls.clear()
    first = made(40, views=1, limit=20 * one)(batch, [UPRIGHT] * 8)
    together = calls[-1]
    assert 1 < together < 8
    assert teacher_calls[-1] == together
    assert all(torch.equal(a, b) for name in first for a, b in zip(first[name], later[name], strict=True))


def test_training_is_the_same_with_and_without(drawn: Path, tmp_path: Path, teacher_calls: list[int]) -> None:
    """With augmentation, in which a view returns in a later epoch or not."""
    flips = [*PLAIN, "training.augment=flips", "training.epochs=4"]
    fit_class(
        ClassFolder("biscuit", drawn / "biscuit"),
        load_recipe("lite-residual", [*flips, "training.feature_memory=0"]),
        tmp_path / "anew",
    )
    assert teacher_calls == [6, *[2] * 12]  # 6 parts: one batch of 8 for the scalers, then 4 epochs of 3 steps
    teacher_calls.clear()
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), load_recipe("lite-residual", flips), tmp_path / "kept")
    assert teacher_calls[0] == 6
    assert set(teacher_calls[1:]) == {1}
    assert len(teacher_calls) < 1 + 24
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("anew", "kept"))
    for name, tensor in one.items():
        if tensor.is_floating_point() and name.startswith("reverse_distillation.network.students"):
            difference = float((tensor - two[name]).norm() / (tensor.norm() + 1e-6))
            assert difference < 0.02, name


def test_without_augmentation_the_second_epoch_needs_no_teacher(
    drawn: Path, tmp_path: Path, teacher_calls: list[int]
) -> None:
    fit_class(
        ClassFolder("biscuit", drawn / "biscuit"),
        load_recipe("lite-residual", [*PLAIN, "precision=bf16"]),
        tmp_path,
    )
    assert teacher_calls == [6, *[1] * 6]


def test_accumulated_batches_share_a_step(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, steps = [], []
    step = fit_module.TrainingModule.training_step

    def noted(self, parts, index):
        sizes.append(len(parts))
        steps.append(self.global_step)
        return step(self, parts, index)

    monkeypatch.setattr(fit_module.TrainingModule, "training_step", noted)
    recipe = load_recipe("lite-residual", [*PLAIN, "training.batch_size=4", "training.accumulate=2"])
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe, tmp_path)
    assert sizes == [2] * 6
    assert steps == [0, 0, 1, 2, 2, 3]  # 6 parts: a batch of 4, then one of 2
    with pytest.raises(RecipeError, match="multiple of training.accumulate"):
        load_recipe("lite-residual", ["training.accumulate=3"])


def test_oblong_frames_reserve_room_for_their_four_views(
    teacher: FrozenTeacher, network: TunedReverseDistillation
) -> None:
    """Twice as many of their parts fit than if there were eight."""
    recipe = load_recipe("lite-residual", ["frame.size=64"])
    places = [teacher_features(teacher, network, recipe, 10, square)._places for square in (True, False)]
    assert places == [80, 40]
