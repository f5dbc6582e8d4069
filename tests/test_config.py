import re

import pytest

from trd.config import REVERSE_DISTILLATION, load_recipe, parse_override, recipe_from_toml, recipe_names
from trd.errors import RecipeError


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load_and_round_trip(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe_from_toml(recipe.to_toml(), "there and back") == recipe


def test_the_promised_recipes_are_shipped() -> None:
    promised = {"lite-rgb-normals", "lite-bank-statistics", "lite-fast", "lite-residual", "lite-rgb-depth",
                "lite-rgb", "lite-rgb-memory-bank",
                "mvtec3d-rgb-normals", "mvtec3d-rgb-depth", "eyecandies-rgb-normals", "eyecandies-all",
                "timm-dinov2-rgb-normals", "timm-resnet-rgb-normals"}  # fmt: skip
    assert promised <= set(recipe_names())


PUBLISHED = {
    "teacher.name": "wide_resnet50_2",
    "evidence.reverse_distillation.standardize": False,
    "frame.size": 256,
    "frame.aspect": "square",
    "frame.crop": "none",
    "evidence.reverse_distillation.student.branches": "per_modality",
    "evidence.reverse_distillation.student.filter": True,
    "evidence.reverse_distillation.student.amplifier": True,
    "evidence.reverse_distillation.student.blocks": (3, 4, 6),
    "evidence.reverse_distillation.training.batch_size": 16,
    "evidence.reverse_distillation.training.learning_rate": 0.005,
    "evidence.reverse_distillation.training.betas": (0.5, 0.999),
    "evidence.reverse_distillation.training.schedule": "exponential",
    "evidence.reverse_distillation.training.lr_decay": 0.95,
    "evidence.reverse_distillation.training.augment": "none",
    "evidence.reverse_distillation.training.loss": "cosine",
    "precision": "fp32",
    "seed": 42,
    "evidence.reverse_distillation.distance": "cosine",
    "scoring.sigma": 4.0,
    "scoring.region": "frame",
}


EPOCHS = {"mvtec3d-rgb-normals": 200, "mvtec3d-rgb-depth": 200, "eyecandies-rgb-normals": 100}
INPUTS = {
    "mvtec3d-rgb-normals": {"rgb": ("image", "rgb"), "normals": ("sobel_normals", "xyz")},
    "mvtec3d-rgb-depth": {"rgb": ("image", "rgb"), "depth": ("depth_image", "xyz")},
    "eyecandies-rgb-normals": {"rgb": ("image", "image_4"), "normals": ("image", "normals")},
}


@pytest.mark.parametrize("name", EPOCHS)
def test_paper_recipes_epochs_and_inputs(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.evidence[REVERSE_DISTILLATION].training.epochs == EPOCHS[name]
    assert {key: (m.representation, m.source) for key, m in recipe.modalities.items()} == INPUTS[name]


@pytest.mark.parametrize("name", EPOCHS)
@pytest.mark.parametrize("key", PUBLISHED)
def test_paper_recipes_hold_the_published_numbers(name: str, key: str) -> None:
    value = load_recipe(name)
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert value == PUBLISHED[key]


@pytest.mark.parametrize(
    ("name", "kernel"),
    [("bagel", 5), ("cable_gland", 5), ("carrot", 5), ("cookie", 3), ("dowel", 7), ("foam", 7), ("peach", 5),
     ("potato", 5), ("rope", 5), ("tire", 7)],
)  # fmt: skip
def test_paper_sobel_kernels_per_class(name: str, kernel: int) -> None:
    recipe = load_recipe("mvtec3d-rgb-normals").for_class(name)
    assert recipe.modalities["normals"].kernel == kernel
    assert recipe.classes == {}


def test_overrides_replace_single_values() -> None:
    recipe = load_recipe("lite-rgb", ["training.epochs=3", "teacher.weights=/some/file.pth", "pool=[1, 1, 1]"])
    network = recipe.evidence[REVERSE_DISTILLATION]
    assert (network.training.epochs, network.pool) == (3, (1, 1, 1))
    assert recipe.teacher.weights == "/some/file.pth"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("training.epoch=3", "training.epoch: unknown key"),
        ("training.epochs=0", "training.epochs"),
        ("training.epochs=many", "training.epochs"),
        ("frame.size=100", "multiple of 32"),
        ("training.loss=cosine", "needs training.loss"),
        ("teacher.name=resnet18", "teacher.name: expected wide_resnet50_2, efficientnet_lite0 or timm:NAME"),
        ("teacher.name=timm:../x", "teacher.name: expected"),
        ("teacher.layers=[1, 2, 3]", "layers is for transformers of timm, not for efficientnet_lite0"),
        ("teacher.layers=[0, 2, 3]", "teacher.layers"),
        ("training", "expected section.key=value"),
        ("modalities.normals.kernel=5", "unknown key"),
        ("modalities.fused.source=rgb", "fused"),
    ],
)
def test_bad_values_are_refused_by_name(override: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("lite-residual", [override])


def test_values_of_several_types_are_refused_by_their_key() -> None:
    with pytest.raises(RecipeError, match=r"\n  frame\.crop\.3: Field required") as refused:
        load_recipe("lite-rgb", ["frame.crop=[1, 2, 3]"])
    assert "constrained" not in str(refused.value)


@pytest.mark.parametrize("override", ["frame.crop=part", "scoring.region=part", "student.filter=false"])
def test_contradictions_are_refused(override: str) -> None:
    with pytest.raises(RecipeError, match="is not a valid recipe"):
        load_recipe("lite-rgb", [override])


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="lite-residual"):
        load_recipe("light")


def test_unreadable_recipe_files(tmp_path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("name = [")
    with pytest.raises(RecipeError, match="not valid TOML"):
        load_recipe(tmp_path / "broken.toml")


def test_override_values_are_toml_or_plain_text() -> None:
    assert parse_override("a.b=1.5") == {"a": {"b": 1.5}}
    assert parse_override("a.b=part") == {"a": {"b": "part"}}


def test_where_the_part_is_found() -> None:
    recipe = load_recipe("lite-residual", ["frame.part.source=depth", "frame.part.clearance=0.001"])
    assert recipe.sources == ("rgb", "xyz", "depth")
    classes = load_recipe("lite-residual", ["classes.gear.frame.part.source=depth"])
    assert classes.for_class("gear").frame.part.source == "depth"
    with pytest.raises(RecipeError, match="part_source: unknown key"):
        load_recipe("lite-residual", ["frame.part_source=depth"])


def test_a_key_of_one_evidence_may_stand_by_itself() -> None:
    recipe = load_recipe("lite-residual", ["training.epochs=3", "components=5"])
    assert recipe == load_recipe(
        "lite-residual",
        ["evidence.reverse_distillation.training.epochs=3", "evidence.patch_statistics.components=5"],
    )
    assert recipe.changed("training.epochs=4").evidence[REVERSE_DISTILLATION].training.epochs == 4
    of_class = recipe.changed("classes.gear.training.epochs=7").for_class("gear")
    assert of_class.evidence[REVERSE_DISTILLATION].training.epochs == 7
    with pytest.raises(RecipeError, match="share: unknown key"):  # of an evidence that is not listed
        load_recipe("lite-residual", ["share=0.5"])


def test_a_key_of_two_evidences_must_be_named_in_full() -> None:
    both = ["evidence.crossmodal_mapping=true"]
    complaint = "'training' is a key of reverse_distillation and crossmodal_mapping: name it evidence.reverse"
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("lite-residual", [*both, "training.epochs=3"])
    named = load_recipe("lite-residual", [*both, "evidence.crossmodal_mapping.training.epochs=3"])
    assert named.evidence["crossmodal_mapping"].training.epochs == 3
    assert named.evidence[REVERSE_DISTILLATION].training.epochs == 60


def test_evidence_is_added_and_taken_away() -> None:
    recipe = load_recipe("lite-residual", ["evidence.memory_bank=true"])
    assert recipe.branches == (*("rgb", "normals", "rgb_statistics", "normals_statistics", "rgb_bank", "normals_bank"),)
    assert recipe == load_recipe("lite-residual", ["evidence.memory_bank={}"])
    fewer = recipe.changed("evidence.patch_statistics=false")
    assert tuple(fewer.evidence) == ("reverse_distillation", "memory_bank")
    assert fewer.changed("evidence.memory_bank.share=0.5").evidence["memory_bank"].share == 0.5
    assert recipe_from_toml(fewer.to_toml(), "there and back") == fewer
    with pytest.raises(RecipeError, match="evidence"):
        load_recipe("lite-rgb", ["evidence.reverse_distillation=false"])
    with pytest.raises(RecipeError, match="two maps are called 'rgb_bank'"):
        recipe.changed("modalities.rgb_bank={representation='image'}")


@pytest.mark.parametrize("text", ['[method]\nname = "trd"\n', "[method.training]\nepochs = 3\n"])
def test_recipes_of_before_are_refused_with_the_remedy(tmp_path, text: str) -> None:
    (tmp_path / "earlier.toml").write_text(f'name = "earlier"\n[modalities.rgb]\nrepresentation = "image"\n{text}')
    remedy = r"earlier\.toml .*names a method: .*Write \[evidence\.reverse_distillation\].*train again"
    with pytest.raises(RecipeError, match=remedy):
        load_recipe(tmp_path / "earlier.toml")
    with pytest.raises(RecipeError, match="names a method"):
        load_recipe("lite-rgb", ["method.training.epochs=3"])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("frame.part.clearance=0", "frame.part.clearance"),
        ("frame.part.border=0.5", "frame.part.border"),
        ("frame.part.height=1", "frame.part.height: unknown key"),
        ("frame.cloud_scale=mm", "frame.cloud_scale"),
        ("frame.cloud_scale=0", "frame.cloud_scale"),
        ("frame.crop=Part", "frame.crop"),
    ],
)
def test_bad_settings_of_the_part_are_refused(override: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("lite-residual", [override])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("seed=true", "seed cannot be true"),
        ("training.blocks=1", "training.blocks: unknown key"),
        ("student.blocks=[true, 1, 1]", "evidence.reverse_distillation.student: blocks cannot be true"),
        ("student.blocks=[1, 1, 1000]", "evidence.reverse_distillation.student.blocks.2"),
        ("frame.margin=true", "frame: margin cannot be true"),
        ("frame.cloud_scale=1e300", "frame.cloud_scale"),
        ("training.epochs=9000000000", "evidence.reverse_distillation.training.epochs"),
        ("training.batch_size=9000000000", "evidence.reverse_distillation.training.batch_size"),
        ("training.feature_memory=1e308", "evidence.reverse_distillation.training.feature_memory"),
        ("training.checkpoint_every=9000000000", "evidence.reverse_distillation.training.checkpoint_every"),
        (
            "evidence.other=true",
            "no evidence is called 'other'; there are: crossmodal_mapping, known_defects, memory_bank",
        ),
        ("evidence.memory_bank=2", "evidence.memory_bank"),
        ("modalities.rgb.representation=photo", "modalities.rgb: 'representation' is 'photo', expected one of 'image'"),
        ("modalities.rgb.source=", "modalities.rgb.image.source"),
        ("modalities.a/b.source=rgb", "1 to 64 printable characters"),
        ("name=", "name"),
    ],
)
def test_values_that_nothing_can_be_made_of(override: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(complaint)):
        load_recipe("lite-residual", [override])


def test_seeds_are_what_pytorch_takes() -> None:
    assert load_recipe("lite-rgb").changed(f"seed={2**63 - 1}").seed == 2**63 - 1
    with pytest.raises(RecipeError, match="seed"):
        load_recipe("lite-rgb").changed(f"seed={2**63}")


def test_messages_do_not_quote_a_whole_book() -> None:
    for override in (f"evidence.{'x' * 100_000}=true", f"modalities.rgb.representation={'x' * 100_000}"):
        with pytest.raises(RecipeError) as caught:
            load_recipe("lite-rgb", [override])
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a=" * 50_000,
        "seed = " + "9" * 10_000,
        ".".join("a" * 50_000) + " = 1",
        "# " + "x" * 2_000_000,
    ],
    ids=["brackets", "tables", "digits", "dots", "length"],
)
def test_recipe_files_that_would_keep_the_parser_busy(tmp_path, text: str) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(RecipeError, match=r"odd\.toml"):
        load_recipe(tmp_path / "odd.toml")


@pytest.mark.parametrize("override", ["seed=" + "9" * 5000, "seed=" + "[" * 100_000, ".".join("a" * 5000) + "=1"])
def test_overrides_that_would_keep_the_parser_busy(override: str) -> None:
    with pytest.raises(RecipeError, match="override '") as caught:
        load_recipe("lite-rgb", [override])
    assert len(str(caught.value)) < 1000


def test_an_override_is_one_value() -> None:
    assert parse_override("a=1\n[b]") == {"a": "1\n[b]"}


@pytest.mark.parametrize("name", ["type", "training", "keys"])
def test_names_that_pytorch_keeps(name: str) -> None:
    from trd.evidence.reverse_distillation.restored import build_network

    recipe = load_recipe("lite-rgb", [f"modalities.{name}.source=rgb", f"modalities.{name}.representation=image"])
    with pytest.raises(RecipeError, match=f"cannot be called '{name}'"):
        build_network(recipe, (24, 40, 112), linear=True)
