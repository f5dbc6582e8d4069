"""Every command that a message, a docstring or the documentation names can be typed as it stands there."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator, Sequence
from enum import EnumMeta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer

import trd
from trd.cli import app

SOURCES = Path(trd.__file__).parent.parent
ROOT = SOURCES.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
TRD: Any = typer.main.get_command(app)
PLACE = "PLACE"  # stands for what an f-string fills in
OTHERS = {"--num-cpus", "--help"}  # of `ray start`, and of every command


def commands(command: Any = TRD) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from commands(inner)


def options_of(command: Any) -> dict[str, frozenset[str]]:
    """Each option of a command, with its words where it takes only some."""
    hints = get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}
    options: dict[str, frozenset[str]] = {}
    for parameter in command.params:
        kinds = [hints.get(parameter.name), *get_args(hints.get(parameter.name))]
        words = {
            word for kind in kinds if get_origin(kind) is Literal or isinstance(kind, EnumMeta) for word in values(kind)
        }
        options |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), frozenset(words))
    return options


def values(kind: Any) -> tuple[str, ...]:
    return tuple(member.value for member in kind) if isinstance(kind, EnumMeta) else get_args(kind)


OF_ANY: dict[str, list[frozenset[str]]] = {}
"""Each option, with its words in each command that has it."""
for known in commands():
    for option, words_of_option in options_of(known).items():
        OF_ANY.setdefault(option, []).append(words_of_option)


def refused(words: Sequence[frozenset[str]], value: str) -> bool:
    """Whether none of the commands with an option takes this value. A word in capitals stands for a value."""
    value = value.strip(".,;:()[]")
    return not value.isupper() and all(words) and not any(value in some for some in words)


def faults(words: Sequence[str]) -> Iterator[str]:
    """What is wrong with the words after `trd`, as far as they go: arguments may be missing."""
    command, left = TRD, list(words)
    while left and not left[0].startswith("-") and hasattr(command, "commands"):
        if left[0] not in command.commands:
            yield f"no command {left[0]}"
            return
        command = command.commands[left.pop(0)]
    own = options_of(command)
    for number, word in enumerate(left):
        name, _, value = word.strip("[]").partition("=")
        if name.startswith("--") and name not in OTHERS:
            if name not in own:
                yield f"{command.name} has no {name}"
            elif refused([own[name]], value or "".join(left[number + 1 : number + 2]) or PLACE):
                yield f"{command.name} {name} takes no such value"


def strings(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else PLACE for part in node.values)
            yield node.lineno, "".join(parts)


def quoted(text: str) -> Iterator[list[str]]:
    """Words after `trd` in backticks, and in plain text where a command follows, up to the next mark."""
    text = " ".join(text.split())
    for match in re.finditer(r"`trd( [^`]*)?`", text):
        yield (match[1] or "").replace("...", "").split()
    for match in re.finditer(rf"(?<![`\w./-])trd ((?:{'|'.join(TRD.commands)})\b[^`\"',;:)(]*)", text):
        yield match[1].split()


@pytest.mark.parametrize("package", ["trd", "trd_bench", "trd_station"])
def test_commands_in_messages(package: str) -> None:
    wrong, count = [], 0
    for path in sorted((SOURCES / package).rglob("*.py")):
        for line, text in strings(path):
            for words in quoted(text):
                count += 1
                wrong += [f"{path.name}:{line}: {' '.join(words)}: {fault}" for fault in faults(words)]
            for match in re.finditer(r"(?<![\w-])(--[a-z][a-z-]*\w)(?: ([\w.]+))?", " ".join(text.split())):
                count += 1
                if match[1] not in {*OF_ANY, *OTHERS} or refused(OF_ANY.get(match[1], []), match[2] or PLACE):
                    wrong.append(f"{path.name}:{line}: {match[0]}")
    assert not wrong
    assert count > 5


def typed(page: str) -> Iterator[list[str]]:
    """The words after `trd` of every call in a block of a page, up to the next command."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if not re.search(r"(^|&& |-m |\$ )trd ", line):
                continue
            calls = " ".join(shlex.split(line.strip().removeprefix("$ "), comments=True))
            for call in re.split(r" (?:&&|\|\||;|\||&) ?", calls):
                words = shlex.split(call.removeprefix("python -m "))
                if words[:1] == ["trd"]:
                    yield words[1:]


def test_every_call_of_a_line_is_read() -> None:
    page = "```bash\npython3 -m venv x && trd demo  # first\n$ trd train --data a \\\n  --out b\n```\n"
    assert list(typed(page)) == [["demo"], ["train", "--data", "a", "--out", "b"]]
    assert ["demo"] in typed((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_documentation(page: Path) -> None:
    text = page.read_text("utf-8")
    for words in typed(text):
        if "..." not in words:
            _parsed([word.strip("[]") for word in words], page.name)
        assert not list(faults(words)), words
    for words in quoted(re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)):
        assert not list(faults(words)), words


def _parsed(words: list[str], line: str) -> None:
    """A whole command, with its arguments."""
    command = TRD
    while hasattr(command, "commands"):
        assert words, line
        command = command.commands[words.pop(0)]
    try:
        command.make_context("trd", words)
    except Exception as error:  # typer's own, or click's
        pytest.fail(f"{line}: {error!r}")


@pytest.mark.parametrize(
    "words",
    ["resume", "export RUN --precision 32", "train --retrian", "station toke DATA", "predict RUN --device=x --x"],
)
def test_what_cannot_be_typed_is_noticed(words: str) -> None:
    assert list(faults(words.split()))
