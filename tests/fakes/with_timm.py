"""timm for tests, also beside a torch for which torchvision, which timm imports, has no build.

TRD_TEST_TIMM names a folder with both, which is looked into for these tests alone: a torchvision that cannot be
imported by itself would keep Lightning from being imported wherever it is found.
"""

import os
import re
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Any

import pytest
from torch import library

_defined: list[library.Library] = []  # what they define goes with them


def timm_or_skip() -> Any:
    folder = os.environ.get("TRD_TEST_TIMM")
    if folder and folder not in sys.path:
        sys.path.append(folder)
    if util.find_spec("timm") is None or util.find_spec("torchvision") is None:
        pytest.skip("timm is not installed")
    try:
        import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist: its library is of another torch
        _define_operators()
    try:
        return import_module("timm")
    except Exception as error:
        pytest.skip(f"timm cannot be imported: {error}")


def _define_operators() -> None:
    """Names without code for those that torchvision's Python part describes; no network calls them."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    spec = util.find_spec("torchvision")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "_meta_registrations.py").read_text("utf-8")
    _defined.append(library.Library("torchvision", "FRAGMENT"))
    for name in re.findall(r'register_fake\("torchvision::(\w+)"\)', text):
        _defined[-1].define(f"{name}(Tensor x) -> Tensor")
