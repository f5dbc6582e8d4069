"""Passwords that no list of processes shows: in the environment, or in a file that it names."""

from __future__ import annotations

import os
from pathlib import Path

from trd.errors import RecipeError

FILE = "_FILE"
MOST = 10_000  # bytes of a file with a password; more is another file


def secret(name: str) -> str | None:
    """The variable `name`, or the content of the file that the variable `name`_FILE names (which is how containers
    hand secrets over), without the line break at its end. None: neither is set. Raises RecipeError."""
    value, named = os.environ.get(name), os.environ.get(name + FILE)
    if named is None:
        return value
    if value is not None:
        raise RecipeError(f"{name} and {name}{FILE} are both set: leave one of them out")
    try:
        with Path(named).open("rb") as file:
            data = file.read(MOST + 1)
        if len(data) > MOST:
            raise ValueError("it is longer than a password")
        text = data.decode("utf-8")
    except (OSError, ValueError) as error:  # UnicodeDecodeError is one
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(
            f"{name}{FILE} names {named}, which cannot be read: {reason}; give a text file with the password"
        ) from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise RecipeError(f"{name}{FILE} names {named}, which is empty: write the password into it")
    return password
