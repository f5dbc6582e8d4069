"""Parts with two views, and a detector of them."""

from pathlib import Path

import meandistance
import pytest
from several_views import NAMED, in_folders
from sharing import Shared, run_of

from trd.config import Recipe, load_recipe, recipe_from_toml


@pytest.fixture(scope="session")
def views_recipe() -> Recipe:
    return load_recipe("patch-statistics", ("frame.size=64", "scoring.stand_ins=false", NAMED))


@pytest.fixture(scope="module")
def mean_recipe(mean_distance: None) -> Recipe:
    """Fitted and exported in milliseconds, for what hangs on no evidence."""
    return recipe_from_toml(meandistance.toml("mean"), "a test").changed(NAMED)


@pytest.fixture(scope="session")
def views_data(drawn: Path, shared: Shared[Path]) -> Path:
    """Read only."""
    return shared("views-data", lambda folder: in_folders(drawn, folder))


@pytest.fixture(scope="session")
def views_run(views_data: Path, views_recipe: Recipe, shared: Shared[Path]) -> Path:
    """A run folder. Read only."""
    return shared("views-run", lambda folder: run_of(views_data, folder, views_recipe))


@pytest.fixture(scope="module")
def each_run(views_data: Path, mean_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a detector for each view. Read only."""
    return run_of(views_data, tmp_path_factory.mktemp("each"), mean_recipe.changed("views.detector=each"))
