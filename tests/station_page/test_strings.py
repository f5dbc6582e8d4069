"""The page's strings: both languages have all of them, and none is missing or left over."""

import json
import re
from pathlib import Path

import trd_station

SCRIPTS = Path(trd_station.__file__).parent / "page" / "js"
ENTRY = re.compile(r'^  ("[^"]+"): \{ en: (".*?"), de: (".*") \},$', re.MULTILINE)
FILES = sorted(SCRIPTS.glob("strings*.js"))
STRINGS = {
    json.loads(key): (json.loads(en), json.loads(de))
    for path in FILES
    for key, en, de in ENTRY.findall(path.read_text("utf-8"))
}
SOURCES = {path: path.read_text("utf-8") for path in SCRIPTS.rglob("*.js") if path not in FILES}
# keys whose end is only known when the page runs: t(`decision.${...}`), word("problem", code), page titles
BUILT = {
    "[^.]+".join(re.escape(piece) for piece in re.split(r"\$\{[^}]+\}", found))
    for source in SOURCES.values()
    for found in re.findall(r"\bt\(`([a-z][^`]+)`", source)
} | {rf"{found}\.[^.]+" for source in SOURCES.values() for found in re.findall(r'\bword\("([a-z]+)"', source)}
BUILT.add(r"[a-z]+\.title")


def used_keys() -> set[str]:
    """Every quoted text that is a key; what the page builds at run time is in BUILT."""
    return {
        found for source in SOURCES.values() for found in re.findall(r'"([a-z_]+(?:\.[a-z_0-9]+)*)"', source)
    } & set(STRINGS)


def test_every_line_of_the_file_was_read() -> None:
    lines = [line for path in FILES for line in path.read_text("utf-8").splitlines() if line.startswith('  "')]
    assert len(lines) == len(STRINGS) > 250


def test_both_languages_say_it_with_the_same_values() -> None:
    def values(text: str) -> list[str]:
        return sorted(re.findall(r"\{\w+\}", text))

    assert not [key for key, both in STRINGS.items() if not all(text.strip() for text in both)]
    assert not [key for key, (english, german) in STRINGS.items() if values(english) != values(german)]


def test_what_the_page_asks_for_is_there() -> None:
    asked = {found for source in SOURCES.values() for found in re.findall(r'\bt\("([^"]+)"', source)}
    assert asked
    assert not asked - set(STRINGS)


def test_no_string_is_left_over() -> None:
    used = used_keys()
    left = {
        key
        for key in STRINGS
        if key not in used
        and key.removesuffix(".one") not in used
        and not any(re.fullmatch(pattern, key) for pattern in BUILT)
    }
    assert not left


def test_every_code_of_the_station_has_its_words() -> None:
    """As the table of docs/station-api.md lists them."""
    text = (Path(__file__).parents[2] / "docs" / "station-api.md").read_text("utf-8")
    table = text[text.index("| status | codes |") :].partition("\n\n")[0]
    codes = set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", table)))
    assert len(codes) > 25
    assert not [code for code in codes if f"problem.{code}" not in STRINGS]
