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
    """At the start of `what`, before any work: raises MissingExtraError where a package of `extras` is not installed.

    Nothing is imported. what: begins the message, "trd train".
    """
    for extra in extras:
        for package in EXTRAS[extra]:
            if not installed(package):
                raise missing(what, extra, package)


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
    """The error about a package of `extra` that `what` needs."""
    return MissingExtraError(
        f"{what} needs the extra '{extra}': pip install 'trd-anomaly[{extra}]' ({package} is not installed)"
    )
