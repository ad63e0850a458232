"""Every error a user can meet: what happened, to what, and the next step."""

from __future__ import annotations

from typing import ClassVar


class ElixirScopeError(Exception):
    """Base of all errors shown to a user.

    `message` says what happened and to what, `hint` the next step, `slug` names the
    section of docs/errors.md, and `exit_code` is what the command line exits with.
    """

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class UsageError(ElixirScopeError):
    """The request itself cannot be understood: a wrong time, process, option or plan."""

    slug = "usage"
    exit_code = 2


class NotFoundError(ElixirScopeError):
    """What was named does not exist in this recording: a process, an event, a moment."""

    slug = "not-found"
    exit_code = 3


class RecordingError(ElixirScopeError):
    """A recording is missing, empty, of a newer format, or damaged beyond reading."""

    slug = "recording"
    exit_code = 4


class QueryError(ElixirScopeError):
    """SQL that is wrong, or refused by the sandbox."""

    slug = "query"
    exit_code = 5


class TargetError(ElixirScopeError):
    """The program to record, or the tools it needs (Elixir, Mix), cannot be run."""

    slug = "target"
    exit_code = 6


class EnvironmentProblem(ElixirScopeError):
    """This machine refuses something we need: a port in use, a disk that is full."""

    slug = "environment"
    exit_code = 7
