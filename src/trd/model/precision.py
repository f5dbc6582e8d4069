"""Which floating-point precision the hardware at hand computes well in."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]


def resolve_precision(wanted: str, device: torch.device | str) -> Precision:
    """ "32" and "bf16" as asked; "auto" is bf16 where the processor multiplies it in hardware, else 32 bit."""
    if wanted == "auto":
        kind = torch.device(device).type
        if kind == "cuda":
            return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
        return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16", False) else "32-true"
    return "bf16-mixed" if wanted == "bf16" else "32-true"
