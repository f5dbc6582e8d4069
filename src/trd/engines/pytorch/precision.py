"""Which device and which floating-point precision to compute with."""

from __future__ import annotations

from typing import Literal

import torch

from trd import processes
from trd.errors import RecipeError
from trd.types import PrecisionName

PRECISIONS: dict[torch.dtype, PrecisionName] = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
BF16_UNITS = ("amx_bf16", "avx512_bf16")  # of processors that multiply bf16 faster than float32, as torch names them


def resolve_device(name: str) -> str:
    """ "auto" is the GPU where there is one; of several processes (`trd.processes`) each gets its own.

    Raises RecipeError for a device that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and processes.count() > 1:
        name = f"cuda:{processes.rank_here()}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RecipeError(f"--device {name}: expected auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise RecipeError(f"--device {name}: expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RecipeError(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices")
    return name


def multiplies_bf16(device: torch.device | str) -> bool:
    """Whether the hardware does: GPUs from Ampere on, processors with AMX or AVX512-BF16."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(unit)) for unit in BF16_UNITS)


def resolve_precision(requested: str, device: torch.device | str) -> Literal["fp32", "bf16"]:
    """Of the students in training: "fp32" and "bf16" as asked; "auto" is bf16 where `multiplies_bf16`, else fp32."""
    if requested == "auto":
        return "bf16" if multiplies_bf16(device) else "fp32"
    return "bf16" if requested == "bf16" else "fp32"


def prediction_dtype(requested: str, device: torch.device | str) -> torch.dtype:
    """Of the students in prediction: "fp32", "bf16", "fp16" (for GPUs that lack bf16), or "auto" as above.

    Raises RecipeError for another word.
    """
    if requested not in ("fp32", "bf16", "fp16", "auto"):
        raise RecipeError(f"precision '{requested}': expected fp32, bf16, fp16 or auto")
    if requested == "fp16":
        return torch.float16
    return torch.float32 if resolve_precision(requested, device) == "fp32" else torch.bfloat16


def processor_name() -> str:
    """As PyTorch names the CPU, with the units that decide about bf16: "AMD EPYC (avx512_bf16)"."""
    capabilities = torch.cpu.get_capabilities()
    units = [unit for unit in BF16_UNITS if capabilities.get(unit, False)]
    return str(capabilities.get("cpu_name") or "unknown processor") + (f" ({', '.join(units)})" if units else "")
