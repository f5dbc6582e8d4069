"""Building modules whose weights come from a file: without drawing 387 million random numbers first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWING = (Tensor.normal_, Tensor.uniform_)


class WithoutInitialisation(TorchFunctionMode):
    """Context in which new modules keep whatever their memory holds; every tensor must be loaded afterwards."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _DRAWING or getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
