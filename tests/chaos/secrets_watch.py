"""A watch for secrets: looks into whatever a log, an error reporter or a pickle shows, and says where one stands."""

import base64
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import cast
from urllib.parse import quote, quote_plus

from littlebits_async import NoStreamsLeftError

_TESTS = str(Path(__file__).parents[1])
_HALF = 10
"""So much of a secret, at its beginning or its end, is not there by chance: it was cut."""


class SecretsWatch(logging.Handler):
    """Looks for secrets; `found` says where they stood.

    As a logging handler it looks at each record in all that a handler may make of it: the message, the arguments, the
    exception with the locals of every frame. Frames of the tests themselves are passed over: they are the user, who
    knows the secret.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__(logging.NOTSET)
        self.found: list[str] = []
        self.records = 0
        self.loggers: set[str] = set()
        self._forms: set[str] = set()
        for secret in secrets:
            self.guard(secret)

    def guard(self, secret: str) -> None:
        """Look for one more secret, as it is and in the disguises that libraries give to it."""
        assert len(secret) >= 2 * _HALF, "too short to be told from chance"
        raw = secret.encode()
        self._forms |= {
            *(secret, secret[:_HALF], secret[-_HALF:], repr(secret)[1:-1], repr(raw)[2:-1], json.dumps(secret)[1:-1]),
            *(quote(secret, safe=""), quote(secret), quote_plus(secret)),
            *(encoded for before in (b"", b":", b"::") for encoded in _base64_of(before, raw)),
        }

    def guard_login(self, user: str, password: str) -> None:
        """Look for a password, and for what Basic authentication makes of it."""
        self.guard(password)
        self._forms.add(base64.b64encode(f"{user}:{password}".encode()).decode())

    def see(self, where: str, text: str) -> None:
        """Look at a text."""
        for form in self._forms:
            if form in text:
                at = text.index(form)
                self.found.append(f"{where}: {text[max(0, at - 80) : at + 80]!r}")
                return

    def see_value(self, where: str, value: object) -> None:
        """Look at a value as a debugger shows it."""
        self.see(f"str of {where}", str(value))
        self.see(f"repr of {where}", repr(value))

    def see_error(self, where: str, error: BaseException) -> None:
        """Look at an error, at all that it came from, at the locals of all their frames, and at its pickle."""
        for exc in chain(error):
            name = f"{where}: {type(exc).__name__}"
            self.see_value(name, exc)
            self.see(f"{name}.args", repr(exc.args))
            self.see(f"notes of {name}", repr(getattr(exc, "__notes__", [])))
            self.see(f"attributes of {name}", repr({key: value for key, value in vars(exc).items() if key[0] != "_"}))
            for frame in _frames(exc.__traceback__):
                for variable, shown in (frame.locals or {}).items():
                    self.see(f"{name}: local {variable} of {frame.name} in {frame.filename}:{frame.lineno}", shown)
        formatted = "".join(traceback.format_exception(error))
        self.see(f"{where}: traceback", formatted)
        self.see(f"{where}: pickle", repr(_pickled(error)))

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        self.loggers.add(record.name)
        where = f"log {record.name}"
        try:
            self.see(where, record.getMessage())
            self.see(f"{where}: msg", f"{record.msg!r}")
            self.see(f"{where}: args", repr(record.args))
            arguments = record.args or ()
            for value in arguments.values() if isinstance(arguments, Mapping) else arguments:
                if isinstance(value, BaseException):
                    self.see_error(f"{where}: argument", value)
            if record.exc_info and record.exc_info[1] is not None:
                self.see_error(f"{where}: exc_info", record.exc_info[1])
        except Exception as exc:  # noqa: BLE001 - logging would swallow it
            self.found.append(f"{where}: the watch itself failed: {exc!r}")

    @contextmanager
    def watching(self, level: int = logging.DEBUG) -> Generator[None, None, None]:
        """Watch every record of every logger, and every warning, until the block is left."""
        root = logging.getLogger()
        before = root.level
        root.addHandler(self)
        root.setLevel(level)
        try:
            with warnings.catch_warnings(record=True, action="always") as caught:
                yield
        finally:
            root.setLevel(before)
            root.removeHandler(self)
        for warning in caught:
            self.see("warning", str(warning.message))
        assert not caught, [str(warning.message) for warning in caught]

    def check(self) -> None:
        """Fail where a secret was found."""
        assert not self.found, "\n".join([f"{len(self.found)} leaks", *dict.fromkeys(self.found)])


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and all those that one who looks at it can reach."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        exc = waiting.pop()
        if id(exc) in seen:
            continue
        seen.add(id(exc))
        yield exc
        waiting += [other for other in (exc.__cause__, exc.__context__) if other is not None]
        if isinstance(exc, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", exc).exceptions
        if isinstance(exc, NoStreamsLeftError):
            waiting += exc.causes.values()
        waiting += [value for value in vars(exc).values() if isinstance(value, BaseException)]


def _frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    walk = ((frame, line) for frame, line in traceback.walk_tb(tb) if not frame.f_code.co_filename.startswith(_TESTS))
    return list(traceback.StackSummary.extract(walk, lookup_lines=False, capture_locals=True))


def _pickled(error: BaseException) -> bytes:
    return pickle.dumps(error, protocol=0)


def _base64_of(before: bytes, secret: bytes) -> Iterator[str]:
    """What base64 makes of a secret behind so many other bytes, without the ends, which depend on its neighbours."""
    encoded = base64.b64encode(b"\0" * len(before) + secret)
    yield encoded.decode().rstrip("=")[4:-4]
