"""Typed reading of a request's parameters: what is missing or malformed becomes a `UsageError` that names it."""

from __future__ import annotations

from starlette.datastructures import QueryParams

from elixirscope.errors import UsageError
from elixirscope.moment import Moment


class Parameters:
    """The query string of one request."""

    def __init__(self, query: QueryParams) -> None:
        self._query = query

    @property
    def looks(self) -> bool:
        """Whether something is searched for in values."""
        return bool(self._query.get("search") or self._query.get("pattern"))

    def text(self, name: str, default: str | None = None) -> str:
        """The parameter as text. Raises `UsageError` when it is missing and there is no default."""
        found = self._query.get(name, default)
        if found is None:
            raise UsageError(f"the parameter {name!r} is missing", "see docs/api.md for what each address takes")
        return found

    def number(self, name: str, default: int | None = None) -> int:
        """The parameter as a whole number. Raises `UsageError`."""
        found = self.maybe(name)
        if found is not None:
            return found
        if default is None:
            self.text(name)
        assert default is not None
        return default

    def maybe(self, name: str) -> int | None:
        """The parameter as a whole number, None when it is not given. Raises `UsageError`."""
        found = self._query.get(name)
        if found is None or found == "":
            return None
        try:
            return int(float(found)) if "." in found else int(found)
        except ValueError as error:
            raise UsageError(f"{name}={found!r} is not a number", "give a whole number") from error

    def within(self) -> tuple[int, int] | None:
        """The stretch of time that `from` and `to` name together, None without either. Raises `UsageError`."""
        since, until = self.maybe("from"), self.maybe("to")
        return None if since is None or until is None else (since, until)

    def numbers(self, name: str) -> list[int] | None:
        """A comma-separated list of whole numbers, None when it is not given. Raises `UsageError`."""
        found = self._query.get(name)
        if not found:
            return None
        try:
            return [int(part) for part in found.split(",")]
        except ValueError as error:
            raise UsageError(f"{name}={found!r} is not a list of numbers", "write it as 1,2,3") from error

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, the first when it is not given. Raises `UsageError`."""
        found = self._query.get(name, choices[0])
        if found not in choices:
            raise UsageError(f"{name}={found!r} is not known", f"give one of {', '.join(choices)}")
        return found

    def moment(self) -> Moment:
        """The moment that `at`, `process`, `event` and `call` name together."""
        return Moment(
            at=self.number("at", 0),
            process=self.maybe("process"),
            event=self.maybe("event"),
            call=self.maybe("call"),
        )
