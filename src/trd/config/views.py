"""The section `[views]`: several pictures or clouds of one part, with one decision."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trd.config.sections import Frozen


def _folder_name(text: str) -> str:
    if not 0 < len(text) <= 64 or not text.isprintable() or set(text) & set("./\\ "):
        raise ValueError("a view's name is 1 to 64 printable characters without space . / \\")
    return text


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) == 1 or len(set(names)) < len(names):
        raise ValueError("views have different names, and there are two at least; none where a part has one picture")
    return names


ViewName = Annotated[str, AfterValidator(_folder_name)]


class ViewsConfig(Frozen):
    """Views of a part: what is strange in one makes the part strange."""

    names: Annotated[
        tuple[ViewName, ...],
        AfterValidator(_different),
        Field(
            max_length=64,
            description='Of the views, such as `["front", "side"]`: folders `CLASS/front/train/...`, or files '
            "`0001_front.png`. None: a part has one picture.",
        ),
    ] = ()
    detector: Annotated[
        Literal["shared", "each"],
        Field(
            description="`shared` learns from all views together, `each` from every view for itself, with as many "
            "times the memory. Maps are compared with good parts of the same view in both."
        ),
    ] = "shared"

    @property
    def own_detectors(self) -> tuple[str, ...]:
        """Names of the views that have a detector each; () where all share one."""
        return self.names if self.detector == "each" else ()
