"""Who may call: tokens with a name and a role, of which only digests are kept (DATA/tokens.json)."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from trd.errors import DataError
from trd.files import write_json
from trd_station import times

ROLES = ("viewer", "operator", "engineer", "admin")  # each may what those before it may
FILE, SEEN = "tokens.json", "seen.json"
MINUTE = 60_000  # milliseconds


@dataclass(frozen=True)
class Caller:
    """made: when its token was, in milliseconds; None where that is not known."""

    name: str
    role: str
    made: int | None = None

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Caller("local", "admin")

log = logging.getLogger("trd")


class Tokens:
    """Those of a station's folder. Without any, everyone who can connect is `LOCAL`; once there was one, nobody is,
    though the last one be removed while the station runs."""

    def __init__(self, data: Path) -> None:
        """Raises DataError for a file that is not ours."""
        self._path = data / FILE
        self._last_state = self._state()
        self._callers = self._read()
        self._guarded = bool(self._callers)
        self._seen_path = data / SEEN
        self._seen = self._read_seen()
        self._saved = dict(self._seen)
        self._own: tuple[str, Caller] | None = None

    def __bool__(self) -> bool:
        self.reread()
        return self._guarded

    def reread(self) -> None:
        """Takes what another process has written since: a token is mostly removed because somebody else has it. What
        cannot be read changes nothing."""
        state = self._state()
        if state == self._last_state:
            return
        try:
            self._last_state, self._callers = state, self._read()
        except DataError as error:
            log.warning("%s; the tokens known before stay", error)
        self._guarded = self._guarded or bool(self._callers)

    def _state(self) -> tuple[int, int, int] | None:
        """Another one after every writing."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> dict[str, Caller]:
        """Digest -> whose."""
        callers: dict[str, Caller] = {}
        if not self._path.exists():
            return callers
        try:
            for entry in json.loads(self._path.read_text("utf-8"))["tokens"]:
                if entry["role"] not in ROLES:
                    raise ValueError(f"unknown role {entry['role']!r}")
                callers[str(entry["sha256"])] = Caller(str(entry["name"]), entry["role"], entry.get("made"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self._path} cannot be read as the station's tokens: {error!r}") from error
        return callers

    @property
    def callers(self) -> tuple[Caller, ...]:
        return tuple(self._callers.values())

    def seen(self, name: str) -> int | None:
        """When a token of this name was last used, in milliseconds."""
        return self._seen.get(name)

    def save_seen(self) -> None:
        """For the next start and for `trd station tokens`: a token's first use, and later ones a minute apart. Raises
        OutputError."""
        seen = dict(self._seen)
        later = any(at - self._saved.get(name, 0) >= MINUTE for name, at in seen.items())
        if later or seen.keys() != self._saved.keys():
            self._saved = seen
            write_json(self._seen_path, self._saved)

    def _read_seen(self) -> dict[str, int]:
        try:
            return {str(name): int(at) for name, at in json.loads(self._seen_path.read_text("utf-8")).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def for_this_machine(self, name: str) -> str:
        """A token that is kept in memory only, for the commands: it does not make the station one with tokens."""
        token = secrets.token_urlsafe(32)
        self._own = _digest(token), Caller(name, ROLES[-1])
        return token

    def add(self, name: str, role: str) -> str:
        """A new token, which is told here only; one of the same name is replaced. Raises DataError."""
        if role not in ROLES:
            raise DataError(f"unknown role '{role}'; there are: {', '.join(ROLES)}")
        if not name.strip() or len(name) > 100 or not name.isprintable():
            raise DataError("a token needs a name: up to 100 printable characters")
        token = f"trd_{secrets.token_urlsafe(32)}"
        self._callers = {digest: caller for digest, caller in self._callers.items() if caller.name != name}
        self._callers[_digest(token)] = Caller(name, role, times.now())
        self._seen.pop(name, None)
        self._save()
        return token

    def remove(self, name: str) -> None:
        """Raises DataError where there is none of this name."""
        left = {digest: caller for digest, caller in self._callers.items() if caller.name != name}
        if len(left) == len(self._callers):
            raise DataError(f"there is no token of '{name}'; there are: {', '.join(c.name for c in self.callers)}")
        self._callers = left
        self._save()

    def caller(self, token: str) -> Caller | None:
        self.reread()
        token_digest = _digest(token)
        if self._own is not None and hmac.compare_digest(self._own[0], token_digest):
            return self._own[1]
        for digest, caller in self._callers.items():
            if hmac.compare_digest(digest, token_digest):
                self._seen[caller.name] = times.now()
                return caller
        return None

    def _save(self) -> None:
        entries = [{"sha256": digest, **asdict(caller)} for digest, caller in self._callers.items()]
        write_json(self._path, {"tokens": entries})
        self._path.chmod(0o600)
        self._last_state, self._guarded = self._state(), self._guarded or bool(self._callers)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
