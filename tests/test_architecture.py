"""Imports go one way: a room may only use rooms to its left."""

import ast
from pathlib import Path

import trd

ORDER = [
    ["errors", "types", "files", "processes"],
    ["config"],
    ["data"],
    ["preprocess"],
    ["model"],
    ["scoring"],
    ["detector"],
    ["training"],
    ["evaluation"],
    ["predictions", "runs"],
    ["reproduce"],
    ["cli"],
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
ROOT = Path(trd.__file__).parent


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("trd."):
            rooms.add(node.module.split(".")[1])
        if isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("trd.")}
    return rooms


def test_every_room_has_a_place() -> None:
    rooms = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")}
    assert rooms - {"__init__", "__main__", "recipes"} == set(RANK)


def test_imports_go_one_way() -> None:
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__", "recipes"):
            continue
        wrong += [f"{room} imports {other}" for other in imported_rooms(path) if RANK[other] > RANK[room]]
    assert not wrong
