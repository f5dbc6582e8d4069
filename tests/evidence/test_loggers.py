from pathlib import Path

import pytest

from trd.config import Recipe
from trd.errors import MissingExtraError
from trd.evidence.reverse_distillation.training import loggers
from trd.training.fit import fit_class
from trd.types import ClassFolder


@pytest.mark.parametrize(("name", "maker"), [("mlflow", "MLFlowLogger"), ("wandb", "WandbLogger")])
def test_a_logger_whose_package_is_missing(
    drawn: Path, tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, name: str, maker: str
) -> None:
    def missing(**_: object) -> None:
        raise ModuleNotFoundError(name)  # as Lightning's own loggers do

    monkeypatch.setattr(loggers, maker, missing)
    asked = recipe.changed(f'training.loggers=["csv", "{name}"]')
    with pytest.raises(MissingExtraError, match=rf"'{name}' in .*loggers.*pip install '\.\[{name}\]'"):
        fit_class(ClassFolder("biscuit", drawn / "biscuit"), asked, tmp_path, "cpu")


def test_only_the_loggers_that_are_named(drawn: Path, tmp_path: Path, recipe: Recipe) -> None:
    fit_class(ClassFolder("biscuit", drawn / "biscuit"), recipe.changed('training.loggers=["csv"]'), tmp_path, "cpu")
    assert (tmp_path / "logs/metrics.csv").exists()
    assert not list((tmp_path / "logs").glob("events*"))
    assert recipe.identity() == recipe.changed("training.loggers=[]").identity()  # it changes no weight
