"""Metrics of many runs -> the published tables' layout, in Markdown, LaTeX and one long CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trd.evaluation.evaluate import FUSED
from trd.evaluation.tables import COLUMNS, Rows, markdown_table, number, to_csv
from trd_bench.reproduce.published import Benchmark, Published
from trd_bench.reproduce.variants import FULL

MISSING = "-"
LATEX = {character: f"\\{character}" for character in "_%&#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
}


@dataclass(frozen=True)
class Result:
    """One finished job; metrics is the content of its metrics.json."""

    variant: str
    seed: int
    class_name: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column holds the rows' names. note: what the numbers are."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Quantity:
    """A number of the fused map to tabulate: key in metrics.json, heading, whether at the papers' thresholds."""

    key: str
    heading: str
    sampled: bool = False
    as_published: bool = True

    def of(self, metrics: Mapping[str, Any]) -> float:
        return number((metrics.get("sampled_aupro", {}) if self.sampled else metrics["maps"][FUSED]).get(self.key))


QUANTITIES = (
    Quantity("image_auroc", "I-AUROC"),
    Quantity("pixel_auroc", "P-AUROC"),
    Quantity("aupro_30", "AUPRO@30, 100 thresholds as published", sampled=True),
    Quantity("aupro_30", "AUPRO@30, exact", as_published=False),
    Quantity("aupro_1", "AUPRO@1, 100 thresholds as published", sampled=True),
    Quantity("aupro_1", "AUPRO@1, exact", as_published=False),
)
SHORT = tuple(q for q in QUANTITIES if not q.sampled)


def benchmark_tables(results: Sequence[Result], benchmark: Benchmark, classes: Sequence[str], name: str) -> list[Table]:
    """One table per quantity: our full method over the classes, and what has been published below it."""
    ours = [r for r in results if r.variant == FULL]
    seeds = sorted({r.seed for r in ours})
    note = (
        f"Per cent; ours: {name}, mean ± standard deviation over {len(seeds)} seeds "
        f"({', '.join(map(str, seeds))}); the mean's deviation is that of the mean over classes."
        if len(seeds) > 1
        else f"Per cent; ours: {name}, one seed ({', '.join(map(str, seeds))}), so without a deviation."
    )
    tables = []
    for quantity in QUANTITIES:
        cells = [_class_cell(ours, cls, quantity.of) for cls in classes]
        rows = [("ours", *cells, _cell(_per_seed(ours, quantity.of, classes)))]
        if quantity.as_published:
            rows += [row for p in benchmark.published if (row := _published_row(p, quantity.key, benchmark, classes))]
        tables.append(Table(quantity.heading, note, ("method", *classes, "mean"), tuple(rows)))
    return tables


def ablation_tables(results: Sequence[Result], classes: Sequence[str]) -> list[Table]:
    """Variants against each other: means, single maps, classes, and defect kinds."""
    variants = list(dict.fromkeys(r.variant for r in results))
    by_variant = {v: [r for r in results if r.variant == v] for v in variants}
    seeds = sorted({r.seed for r in results})
    over = f"standard deviation over seeds ({', '.join(map(str, seeds))}). AUPRO is exact."
    note, single = f"Per cent, mean over {len(classes)} classes ± {over}", f"Per cent, mean ± {over}"
    heads = tuple(q.heading.replace(", exact", "") for q in SHORT)
    means = tuple((v, *(_cell(_per_seed(by_variant[v], q.of, classes)) for q in SHORT)) for v in variants)
    tables = [Table("Fused map", note, ("variant", *heads), means)]
    if FULL in by_variant and len(variants) > 1:
        paired = "Per cent, variant minus full, paired by class and seed: mean ± standard error of the pairs (number)."
        rows = tuple(
            (v, *(_paired(by_variant[v], by_variant[FULL], q.of) for q in SHORT)) for v in variants if v != FULL
        )
        tables.append(Table("Against the full method", paired, ("variant", *heads), rows))
    maps = [
        (f"{v}: {m}", *(_cell(_per_seed(by_variant[v], _map_metric(m, q.key), classes)) for q in SHORT))
        for v in variants
        for m in by_variant[v][0].metrics["maps"]
        if m != FUSED
    ]
    tables.append(Table("Each branch's own map", note, ("variant: map", *heads), tuple(maps)))
    image = SHORT[0]
    per_class = tuple((v, *(_class_cell(by_variant[v], cls, image.of) for cls in classes)) for v in variants)
    tables.append(Table("I-AUROC per class", single, ("variant", *classes), per_class))
    kinds = dict.fromkeys((r.class_name, kind) for r in results for kind in r.metrics["by_defect"])
    for key in ("image_auroc", "aupro_30"):
        rows = tuple(
            (f"{cls}: {kind}", *(_class_cell(by_variant[v], cls, _kind_metric(kind, key)) for v in variants))
            for cls, kind in kinds
        )
        heading = f"{COLUMNS[key]} of the fused map per defect kind, against the good test parts"
        tables.append(Table(heading, single, ("class: defect", *variants), rows))
    return tables


def long_csv(results: Iterable[Result]) -> str:
    """One row per variant, seed, class and map, and per defect kind of the fused map; fractions, not per cent."""
    rows: Rows = []
    for r in results:
        start = {"variant": r.variant, "seed": str(r.seed), "class": r.class_name}
        for name, values in r.metrics["maps"].items():
            sampled = r.metrics.get("sampled_aupro", {}) if name == FUSED else {}
            extra = {f"{key}_100_thresholds": number(sampled.get(key)) for key in COLUMNS if "aupro" in key}
            metrics = {key: number(values.get(key)) for key in COLUMNS}
            rows.append({**start, "map": name, "defect": "", **metrics, **extra})
        for kind, values in r.metrics["by_defect"].items():
            metrics = {key: number(values.get(key)) for key in COLUMNS}
            extra = {f"{key}_100_thresholds": number(None) for key in COLUMNS if "aupro" in key}
            rows.append({**start, "map": FUSED, "defect": kind, **metrics, **extra})
    return to_csv(rows) if rows else ""


def to_markdown(tables: Sequence[Table]) -> str:
    return "\n".join(f"## {t.title}\n\n{t.note}\n\n{markdown_table(t.head, t.rows)}" for t in tables)


def to_latex(tables: Sequence[Table]) -> str:
    """Tables for \\usepackage{booktabs}."""
    parts = []
    for table in tables:
        columns = "l" + "c" * (len(table.head) - 1)
        head, *rows = [" & ".join(map(_latex, row)) + r" \\" for row in (table.head, *table.rows)]
        parts.append(
            "\\begin{table}\n\\centering\n"
            f"\\caption{{{_latex(table.title)}. {_latex(table.note)}}}\n"
            f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\n\\midrule\n"
            + "\n".join(rows)
            + "\n\\bottomrule\n\\end{tabular}\n\\end{table}\n"
        )
    return "\n".join(parts)


def _class_cell(results: Sequence[Result], cls: str, number: Callable[[Mapping[str, Any]], float]) -> str:
    return _cell([number(r.metrics) for r in results if r.class_name == cls])


def _per_seed(
    results: Sequence[Result], number: Callable[[Mapping[str, Any]], float], classes: Sequence[str]
) -> list[float]:
    """The mean over classes for every seed that has them all."""
    means = []
    for seed in sorted({r.seed for r in results}):
        values = {r.class_name: number(r.metrics) for r in results if r.seed == seed}
        if all(cls in values for cls in classes):
            means.append(float(np.mean([values[cls] for cls in classes])))
    return means


def _published_row(p: Published, key: str, benchmark: Benchmark, classes: Sequence[str]) -> tuple[str, ...] | None:
    per_class = p.image_auroc if key == "image_auroc" else {}
    if set(classes) == set(benchmark.classes):
        mean = p.mean.get(key)
    else:  # a mean over other classes than ours would mislead
        published = [per_class[cls] for cls in classes if cls in per_class]
        mean = sum(published) / len(published) if published and len(published) == len(classes) else None
    if mean is None:
        return None
    cells = (f"{per_class[cls]:.1f}" if cls in per_class else MISSING for cls in classes)
    return (p.method, *cells, f"{mean:.1f}")


def _paired(results: Sequence[Result], full: Sequence[Result], number: Callable[[Mapping[str, Any]], float]) -> str:
    against = {(r.seed, r.class_name): number(r.metrics) for r in full}
    pairs = [number(r.metrics) - against[r.seed, r.class_name] for r in results if (r.seed, r.class_name) in against]
    pairs = [pair for pair in pairs if not np.isnan(pair)]
    if not pairs:
        return MISSING
    error = f" ± {100 * np.std(pairs, ddof=1) / np.sqrt(len(pairs)):.1f}" if len(pairs) > 1 else ""
    return f"{100 * np.mean(pairs):+.1f}{error} ({len(pairs)})"


def _map_metric(name: str, key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda metrics: number(metrics["maps"][name].get(key))


def _kind_metric(kind: str, key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda metrics: number(metrics["by_defect"].get(kind, {}).get(key))


def _cell(values: Sequence[float]) -> str:
    finite = [100 * value for value in values if not np.isnan(value)]
    if not finite:
        return MISSING
    return f"{np.mean(finite):.1f}" + (f" ± {np.std(finite, ddof=1):.1f}" if len(finite) > 1 else "")


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
