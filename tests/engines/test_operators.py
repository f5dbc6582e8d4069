"""PyTorch's undocumented operators, by name: predictions on CPUs call them."""

import platform

import pytest
import torch

from trd.engines.pytorch.onednn import OPERATORS


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="they are used on x86-64 only")
def test_this_release_of_torch_has_them() -> None:
    """Where it fails, predictions on CPUs fall back to plain modules, which are slower: see what the release calls the
    operators now, and move the bound in pyproject.toml when tests/engines/test_onednn.py passes."""
    lacking = [name for name in OPERATORS if not hasattr(torch.ops.mkldnn, name)]
    assert not lacking, f"torch {torch.__version__} lacks {', '.join(lacking)}"
