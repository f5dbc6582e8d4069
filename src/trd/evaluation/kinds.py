"""Suggested kinds against the folders that parts lie in: of detected defects that the lesson has not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trd.decision.kinds import UNLIKE, KnownKinds
from trd.evaluation.tables import markdown_table
from trd.training.digests import part_digests
from trd.types import KindSuggestion, SampleFiles


def kind_metrics(
    known: KnownKinds, files: Sequence[SampleFiles], suggestions: Sequence[KindSuggestion | None]
) -> dict[str, Any]:
    """The entry `kinds` of metrics.json. suggestions: of each test part, None where it was not detected.

    confusion: folder -> suggested kind or `UNLIKE` -> number of parts. right: those whose folder's kind was suggested,
    or `UNLIKE` for a folder that was not taught. taught: detected parts left out because the lesson has seen them.
    """
    asked = [
        (part, suggestion)
        for part, suggestion in zip(files, suggestions, strict=True)
        if suggestion is not None and not part.is_good
    ]
    digests, seen, taught = part_digests([part for part, _ in asked]), set(known.parts), set(known.kinds)
    pairs = Counter(
        (part.defect, suggestion.kind or UNLIKE) for part, suggestion in asked if digests[part.id] not in seen
    )
    return {
        "names": [*sorted(taught), UNLIKE],
        "confusion": {
            folder: {name: count for (other, name), count in sorted(pairs.items()) if other == folder}
            for folder in sorted({folder for folder, _ in pairs})
        },
        "detected": pairs.total(),
        "right": sum(n for (folder, name), n in pairs.items() if name == (folder if folder in taught else UNLIKE)),
        "taught": len(asked) - pairs.total(),
    }


def kind_rows(kinds: Mapping[str, Any]) -> list[list[str]]:
    """The confusion as a table: a row of headings, then a row for each folder."""
    names = kinds["names"]
    return [
        ["folder", *names],
        *([folder, *(str(row.get(name, 0)) for name in names)] for folder, row in kinds["confusion"].items()),
    ]


def kind_summary(kinds: Mapping[str, Any]) -> str:
    """In a sentence."""
    left_out = f"; {kinds['taught']} that it was taught are left out" if kinds["taught"] else ""
    return f"{kinds['right']} of {kinds['detected']} detected defects are of the kind suggested{left_out}"


def kinds_markdown(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """metrics: class -> metrics.json. Empty where no kinds are suggested."""
    sections = [
        f"\n## Suggested kinds: {name}\n\n{kind_summary(kinds)}.\n\n{markdown_table(head, rows)}"
        for name, content in metrics.items()
        if (kinds := content.get("kinds"))
        for head, *rows in [kind_rows(kinds)]
    ]
    return "".join(sections)
