"""The comparison for people (one HTML page, Markdown) and for machines (CSV, JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from typing import Any

from trd.evaluation import figures
from trd.evaluation.tables import Rows, markdown_table, to_csv
from trd.pages import filled
from trd.statistics.resampling import REPEATS, Interval
from trd.types import GOOD
from trd_bench.compare.look import PartPictures
from trd_bench.compare.statistics import SAME, WORSE, ClassTable, Row, Share

UNMEASURED = "-"
HEAD = (
    "recipe",
    "image AUROC (0 to 1)",
    "difference to the best",
    "verdict",
    "defective parts found",
    "false alarms",
    "pixel AUROC (0 to 1)",
    "AUPRO@30 (0 to 1)",
    "AUPRO@1 (0 to 1)",
    "training + calibration, s",
    "ms per part",
    "size on disk, MB",
)
GLOSSARY = {
    "recipe": "A method with all its settings; `trd recipes` lists them.",
    "image AUROC": "Share of all pairs of a defective and a good part in which the defective one scores higher. 1: a "
    "threshold could separate them without a mistake. 0.5: chance. It does not depend on the threshold.",
    "interval": "In brackets, 95 %. How far the number would be expected to move had other parts of the same kind been "
    f"tested: the test parts are drawn {REPEATS} times anew (with replacement, good and defective apart, synthetic "
    "defects with the part they were made on, the same draw for all recipes), the number is computed each time, the "
    "interval is as wide as the results spread. Where every part was in the right order they would not spread; then "
    "the lower end is the lowest AUROC at which so many independent pairs in the right order are not rarer than 1 in "
    "40. It covers neither other kinds of defects nor another batch, lamp or training.",
    "difference to the best": "In image AUROC, between this recipe and the one with the highest, on the same draws. "
    f"Where its interval contains 0, these parts show no difference ('{SAME}'); that does not prove there is none. "
    "The best was picked on these parts: by chance it may look better than it is.",
    "defective parts found": "Defective parts whose score is above the recipe's own threshold, which was set on good "
    "parts for the requested rate of false alarms. Exact interval (Clopper-Pearson).",
    "false alarms": "Good test parts above that threshold, in the same way.",
    "pixel AUROC": "The same as image AUROC for pixels: is the defect hotter than what is good?",
    "AUPRO@30, AUPRO@1": "Share of each defect region that is found, averaged over regions and over all thresholds at "
    "which at most 30 % (or 1 %) of good pixels are above the threshold. Small defects count as much as large ones.",
    "training + calibration": "Seconds on the machine where it was trained; in brackets the shortest and the longest "
    "of several classes or seeds. Preparing the parts is not counted, nor what an interruption cut off.",
    "ms per part": "One decoded part from camera arrays to decision, one by one, all recipes in turn; median, in "
    "brackets the 10 % and 90 % quantiles over the parts.",
    "size on disk": "All files of one detector, in 10^6 bytes.",
}


@dataclass(frozen=True)
class Comparison:
    """All that was found. synthetic: empty, or what the reader must know about the parts. notes: what was left out and
    what failed. mean: rows over `mean_of` classes, empty for one. facts: label -> text. pictures: by class."""

    title: str
    synthetic: str
    notes: tuple[str, ...]
    mean: tuple[Row, ...]
    mean_of: tuple[str, ...]
    classes: tuple[ClassTable, ...]
    facts: Mapping[str, str]
    pictures: Mapping[str, tuple[PartPictures, ...]] = field(default_factory=dict)

    @property
    def overall(self) -> tuple[Row, ...]:
        """The rows that answer the question: the mean's, or those of the only class."""
        return self.mean or (self.classes[0].rows if self.classes else ())

    @property
    def seeds(self) -> int:
        """Trainings per recipe."""
        return max((len(row.seeds) for row in self.overall), default=0)

    @property
    def conclusion(self) -> str:
        """In one or two sentences."""
        rows = self.overall
        if not rows:
            return "Nothing could be compared."
        best = next(row for row in rows if row.difference is None)
        same = [row.recipe for row in rows if row.verdict == SAME]
        worse = [row.recipe for row in rows if row.verdict == WORSE]
        text = f"Highest image AUROC: {best.recipe}, {ranged(best.image_auroc)}."
        if same:
            text += (
                f" These parts show no difference between it and {_listed(same)}: choose by cost, or test more parts."
            )
        if worse:
            text += f" {_listed(worse)} did worse, by more than the choice of test parts would explain."
        return text


def ranged(values: Interval | None, digits: int = 3, sign: bool = False) -> str:
    """ "0.912 (0.850 to 0.961)"."""
    if values is None or isnan(values.value):
        return UNMEASURED
    form = f"{'+' if sign else ''}.{digits}f"
    if isnan(values.low):
        return f"{values.value:{form}}"
    return f"{values.value:{form}} ({values.low:{form}} to {values.high:{form}})"


def shared(share: Share | None) -> str:
    """ "78 % (52 to 94 %; 14 of 18)"."""
    if share is None or not share.count:
        return UNMEASURED
    hits = f"{share.hits:.0f}" if share.hits == round(share.hits) else f"{share.hits:.1f}"
    part = share.share
    return f"{100 * part.value:.0f} % ({100 * part.low:.0f} to {100 * part.high:.0f} %; {hits} of {share.count})"


def cells(row: Row) -> tuple[str, ...]:
    """As text, in the order of HEAD."""
    cost = row.cost
    single_value = cost.training.low == cost.training.high
    digits = 0 if cost.training.value >= 20 else 1
    seconds = f"{cost.training.value:.{digits}f}" if single_value else ranged(cost.training, digits)
    return (
        row.recipe,
        ranged(row.image_auroc),
        UNMEASURED if row.difference is None else ranged(row.difference, sign=True),
        row.verdict,
        shared(row.found),
        shared(row.false),
        *(ranged(row.pixels[key]) for key in row.pixels),
        seconds,
        ranged(cost.predicting, 0 if cost.predicting and cost.predicting.value >= 20 else 1),
        f"{cost.megabytes:.1f}",
    )


def markdown(comparison: Comparison) -> str:
    lines = [f"# {comparison.title}\n"]
    if comparison.synthetic:
        lines.append(f"**{comparison.synthetic}**\n")
    lines.append(comparison.conclusion + "\n")
    lines += [f"- {note}" for note in comparison.notes]
    if comparison.mean:
        lines.append(f"\n## Mean over {len(comparison.mean_of)} classes: {', '.join(comparison.mean_of)}\n")
        lines.append(markdown_table(HEAD, map(cells, comparison.mean)))
    for table in comparison.classes:
        lines.append(f"\n## {table.name}\n\n{counted(table)}\n")
        lines.append(markdown_table(HEAD, map(cells, table.rows)))
        if len(table.kinds) > 1:
            lines.append("\nImage AUROC by kind of defect, against all good parts:\n")
            lines.append(markdown_table(*by_kind(table)))
        if table.disagreements:
            lines.append("\nParts that the recipes place most differently (`compare.html` shows them):\n")
            head = ["part", *(f"{row.recipe}" for row in table.rows)]
            rows = ([d.id, *(f"{100 * d.placement[r.recipe]:.0f} %" for r in table.rows)] for d in table.disagreements)
            lines.append(markdown_table(head, rows))
            lines.append("\nOf a defective part: the share of good parts that score below it; of a good part: of "
                         "defective ones above it.\n")  # fmt: skip
    lines.append("\n## What the columns mean\n")
    lines += [f"- **{term}**: {text}" for term, text in GLOSSARY.items()]
    lines.append("\n" + "; ".join(f"{label}: {text}" for label, text in comparison.facts.items()))
    return "\n".join(lines) + "\n"


def counted(table: ClassTable) -> str:
    """What was tested on, and at which rate of false alarms."""
    kinds = {kind: count for kind, count in table.counts.items() if kind != GOOD}
    named = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    low, high = 100 * min(table.rates), 100 * max(table.rates)
    rate = f"{low:.1f} %" if low == high else f"{low:.1f} to {high:.1f} %"
    set_on = "these" if table.rows[0].false is None else "other"
    return (
        f"Test parts: {table.counts[GOOD]} good, {sum(kinds.values())} defective ({named}). The thresholds were set on "
        f"{set_on} good parts, for a false-alarm rate of at most {rate} on further ones."
    )


def by_kind(table: ClassTable) -> tuple[list[str], list[list[str]]]:
    """Head and rows: recipe x kind of defect, with its parts."""
    head = ["recipe", *(f"{kind} ({table.counts[kind]} parts)" for kind in table.kinds)]
    return head, [
        [row.recipe, *(ranged(kind_aurocs[row.recipe], 2) for kind_aurocs in table.kinds.values())]
        for row in table.rows
    ]


def csv_text(comparison: Comparison) -> str:
    """A row per class and recipe; intervals as columns _low and _high."""
    rows: Rows = []
    for row in (*comparison.mean, *(row for table in comparison.classes for row in table.rows)):
        values: dict[str, str | float] = {
            "class": row.class_name,
            "recipe": row.recipe,
            "seeds": " ".join(map(str, row.seeds)),
            "test_defects": "synthetic" if comparison.synthetic else "labelled",
        }
        nothing = Interval(float("nan"), float("nan"), float("nan"))
        named = {"image_auroc": row.image_auroc, "image_auroc_difference": row.difference or nothing, **row.pixels}
        named["found_share"] = row.found.share
        named["false_alarm_share"] = row.false.share if row.false else nothing
        for name, interval in named.items():
            values |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
        time = row.cost.predicting or nothing
        values |= {
            "verdict": row.verdict,
            "found": row.found.hits,
            "defective_parts": float(row.found.count),
            "false_alarms": row.false.hits if row.false else float("nan"),
            "good_parts": float(row.false.count) if row.false else float("nan"),
            "training_seconds": row.cost.training.value,
            "ms_per_part": time.value,
            "ms_per_part_p10": time.low,
            "ms_per_part_p90": time.high,
            "device": row.cost.device,
            "megabytes": row.cost.megabytes,
        }
        rows.append(values)
    return to_csv(rows) if rows else ""


def json_values(comparison: Comparison) -> dict[str, Any]:
    """All numbers; pictures and curves are left to the page."""
    return {
        "format": 1,
        "title": comparison.title,
        "synthetic": comparison.synthetic or None,
        "conclusion": comparison.conclusion,
        "notes": comparison.notes,
        "facts": dict(comparison.facts),
        "mean_of": comparison.mean_of,
        "rows": [
            {**asdict(row), "verdict": row.verdict}
            for row in (*comparison.mean, *(row for table in comparison.classes for row in table.rows))
        ],
        "classes": [
            {
                "name": table.name,
                "parts": dict(table.counts),
                "image_auroc_by_kind": {
                    k: {r: asdict(i) for r, i in kind_aurocs.items()} for k, kind_aurocs in table.kinds.items()
                },
                "disagreements": [asdict(disagreement) for disagreement in table.disagreements],
            }
            for table in comparison.classes
        ],
    }


def html(comparison: Comparison) -> str:
    """One self-contained page."""
    sections = [
        {
            "table": table,
            "counted": counted(table),
            "rows": _rows(table.rows),
            "kinds": by_kind(table) if len(table.kinds) > 1 else None,
            "roc": figures.roc_figure(
                {f"{row.recipe}, AUROC {row.image_auroc.value:.3f}": table.roc[row.recipe] for row in table.rows}
            ),
            "intervals": _intervals(table.rows),
            "seeds": max(len(row.seeds) for row in table.rows),
            "pictures": comparison.pictures.get(table.name, ()),
        }
        for table in comparison.classes
    ]
    values = {
        "comparison": comparison,
        "head": HEAD,
        "mean": _rows(comparison.mean),
        "mean_figure": _intervals(comparison.mean) if comparison.mean else "",
        "sections": sections,
        "glossary": GLOSSARY,
    }
    return filled("trd_bench.compare", "page.html.jinja", values)


def _rows(rows: Sequence[Row]) -> list[tuple[str, tuple[str, ...]]]:
    return [(row.verdict.split()[0], cells(row)) for row in rows]


def _intervals(rows: Sequence[Row]) -> str:
    panels = {"image AUROC with 95 % interval": {row.recipe: _ends(row.image_auroc) for row in rows}}
    best = next(row.recipe for row in rows if row.difference is None)
    if len(rows) > 1:
        differences = {row.recipe: _ends(row.difference) for row in rows}
        panels[f"difference to {best} with 95 % interval"] = differences
    return figures.intervals_figure(panels)


def _ends(interval: Interval | None) -> tuple[float, float, float] | None:
    return None if interval is None or isnan(interval.low) else (interval.value, interval.low, interval.high)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
