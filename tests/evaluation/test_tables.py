import csv
import io

from trd.evaluation.tables import to_csv
from trd_bench.reproduce.tables import Table, to_latex


def test_a_class_named_like_a_formula_is_text_in_a_spreadsheet() -> None:
    text = to_csv(
        [{"class": "=cmd|'/C calc'!A0", "map": "fused", "x": float("nan")}, {"class": "b", "map": "", "x": -1.5}]
    )
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0] == {"class": "'=cmd|'/C calc'!A0", "map": "fused", "x": ""}
    assert rows[1]["x"] == "-1.5"


def test_latex_has_no_active_characters_of_names() -> None:
    text = to_latex([Table("t", "n", ("method", "a"), ((r"\ { } ~ ^ < > $ # % & _", "1 ± 2"),))])
    expected = (
        r"\textbackslash{} \{ \} \textasciitilde{} \textasciicircum{} \textless{} \textgreater{} \$ \# \% \& \_"
        r" & 1 $\pm$ 2 \\"
    )
    assert expected in text
