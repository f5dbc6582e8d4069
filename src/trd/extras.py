"""Optional parts of the installation: which extra brings which package, and one clear line where it is missing.

The base predicts; what trains, computes a detector's maps, draws reports or spreads work comes with extras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from trd.errors import MissingExtraError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "report": ("jinja2", "matplotlib"),
    "train": ("torch", "lightning", "tensorboard"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "export": ("onnx", "onnxscript", "nncf"),
    "ray": ("ray",),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "serve": ("fastapi", "uvicorn", "python_multipart", "sqlalchemy", "alembic", "prometheus_client"),
    "mqtt": ("paho",),
    "opcua": ("asyncua",),
    "postgres": ("psycopg",),
    "timm": ("timm", "torchvision", "huggingface_hub"),
}
"""Extra -> the packages, as they are imported, without which nothing of it works."""


def require(what: str, *extras: str) -> None:
    """At the start of `what`, before any work: raises MissingExtraError that names all of `extras` that are not whole.

    Nothing is imported. what: begins the message, "trd train".
    """
    lacking = {extra: [package for package in EXTRAS[extra] if not installed(package)] for extra in extras}
    packages = [package for missing_packages in lacking.values() for package in missing_packages]
    if packages:
        raise missing(what, ",".join(extra for extra in extras if lacking[extra]), ", ".join(packages))


def installed(package: str) -> bool:
    """Whether it can be found; nothing is imported."""
    return find_spec(package) is not None


@contextmanager
def explained(what: str) -> Iterator[None]:
    """A package of an extra that cannot be imported inside is a MissingExtraError about `what`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        for extra, packages in EXTRAS.items():
            if package in packages:
                raise missing(what, extra, package) from error
        raise


def missing(what: str, extra: str, package: str) -> MissingExtraError:
    """The error about a package of `extra` that `what` needs; several of either are joined by commas."""
    return MissingExtraError(
        f"{what} needs the extra '{extra}': pip install '.[{extra}]' in the checkout of TRD (not installed: {package})"
    )
