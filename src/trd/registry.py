"""Methods by name. One line here makes a folder of `trd.evidence` known to recipes, training and every command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trd.errors import RecipeError

if TYPE_CHECKING:
    from trd.evidence.base import Method

METHODS = {
    "crossmodal_mapping": "trd.evidence.crossmodal_mapping",
    "memory_bank": "trd.evidence.memory_bank",
    "patch_statistics": "trd.evidence.patch_statistics",
    "trd": "trd.evidence.reverse_distillation",
}


def find_method(name: str) -> Method:
    """The `METHOD` of the module registered under `name`, imported when first asked for.

    Raises RecipeError for an unknown name.
    """
    if name not in METHODS:
        raise RecipeError(f"no method is called '{name[:60]}'; there are: {', '.join(sorted(METHODS))}")
    method: Method = import_module(METHODS[name]).METHOD
    return method
