import pytest
import torch

from trd.config import load_recipe
from trd.evidence.reverse_distillation.network.network import TunedReverseDistillation
from trd.evidence.reverse_distillation.network.student import Student
from trd.evidence.reverse_distillation.restored import build_network
from trd.evidence.reverse_distillation.training.loss import network_loss, pyramid_distance, relative_squared_error

RGB = "modalities.rgb={representation='image'}"


CHANNELS = (24, 40, 112)


def network(*overrides: str, modalities: int = 2) -> TunedReverseDistillation:
    extra = [f"modalities.m{i}={{representation='image', source='m{i}'}}" for i in range(1, modalities)]
    return build_network(load_recipe("lite-rgb", [*extra, *overrides]), CHANNELS, linear=True)


def pyramids(names, size: int = 64):
    return {
        name: tuple(torch.randn(2, c, size >> i + 2, size >> i + 2) for i, c in enumerate(CHANNELS)) for name in names
    }


def test_the_paper_size_follows_from_the_rule() -> None:
    with torch.device("meta"):
        student = Student((256, 512, 1024))
    assert sum(p.numel() for p in student.parameters()) == 193_356_806


@pytest.mark.parametrize("modalities", [1, 2, 3, 4])
def test_any_number_of_modalities(modalities: int) -> None:
    model = network(modalities=modalities)
    output = model(pyramids(model.modalities))
    assert set(output.students) == set(model.modalities)
    for name, student in output.students.items():
        shapes = [level.shape for level in output.teachers[name]]
        for part in student._asdict().values():
            assert (part is None) == (modalities == 1 and part is not student.plain and part is not student.fused)
            if part is not None:
                assert [level.shape for level in part] == shapes


@pytest.mark.parametrize(
    "overrides",
    [(), ("student.filter=false",), ("student.amplifier=false",), ("student.filter=false", "student.amplifier=false")],
)
def test_every_student_parameter_learns(overrides: tuple[str, ...]) -> None:
    model = network(*overrides).train()
    losses = network_loss(model(pyramids(model.modalities)))
    terms = {"filtered", "amplified", "plain", "fused"}
    if "student.filter=false" in overrides:
        terms -= {"filtered"}
    if "student.amplifier=false" in overrides:
        terms -= {"amplified", "plain"}  # plain and fused are then one and the same
    assert all(set(branch) == terms for branch in losses.values())
    sum(term for branch in losses.values() for term in branch.values()).backward()
    dead = [name for name, p in model.students.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


def test_a_student_for_a_linear_teacher_can_be_negative() -> None:
    for linear in (True, False):
        torch.manual_seed(0)
        student = Student((8, 16, 32), linear=linear)
        own = tuple(torch.randn(2, c, 64 // s, 64 // s) for c, s in ((8, 4), (16, 8), (32, 16)))
        for part in student(own, own)._asdict().values():
            assert any((level < 0).any() for level in part) == linear


def test_branches_share_nothing() -> None:
    model = network()
    one, two = (set(map(id, s.parameters())) for s in model.students.values())
    assert not one & two


def test_distances_in_closed_form() -> None:
    ones = (torch.ones(2, 3, 4, 4),)
    assert pyramid_distance((5 * ones[0],), ones).item() == pytest.approx(0, abs=1e-6)
    assert pyramid_distance((-ones[0],), ones).item() == pytest.approx(2)
    assert relative_squared_error((1.5 * ones[0],), ones).item() == pytest.approx(0.25)
    # one cosine per sample over everything: half the elements right, half opposite -> orthogonal
    half = torch.ones(1, 2, 2, 2)
    half[:, 1] = -1
    assert pyramid_distance((half,), (torch.ones(1, 2, 2, 2),)).item() == pytest.approx(1)


def test_a_joint_teacher_has_one_student_of_all_features() -> None:
    model = network("student.branches=joint").train()
    separate = pyramids(model.modalities)
    output = model(separate)
    assert set(output.students) == set(output.teachers) == {"joint"}
    for level, (joint, student) in enumerate(
        zip(output.teachers["joint"], output.students["joint"].fused, strict=True)
    ):
        assert torch.equal(joint, torch.cat([separate[name][level] for name in model.modalities], dim=1))
        assert student.shape == joint.shape
    assert output.students["joint"].filtered is None
    assert set(network_loss(output)["joint"]) == {"fused"}


def test_the_loss_stays_in_float32_under_autocast() -> None:
    model = network().eval()
    output = model(pyramids(model.modalities))
    plain = network_loss(output, "cosine")
    with torch.autocast("cpu", torch.bfloat16):
        under = network_loss(output, "cosine")
    for name, terms in plain.items():
        for key, term in terms.items():
            assert under[name][key].dtype == torch.float32
            assert torch.equal(under[name][key], term)
