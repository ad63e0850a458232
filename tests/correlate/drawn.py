"""Pictures correlated, and their tables in words: processes by their names in the picture, events by their times."""

from __future__ import annotations

from typing import Any

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.pictures import draw
from elixirscope.pictures.layout import read_rows
from elixirscope.recording.terms import inspect

Row = dict[str, Any]


class Drawn:
    """The tables of a picture."""

    def __init__(self, picture: str) -> None:
        self.log = draw(picture)
        names, _ = read_rows(picture)
        pids = {f"#PID<0.{100 + index}.0>": name for index, name in enumerate(names)}
        self.names = {n: pids[key.pid_text] for n, key in enumerate(self.log.processes)}
        self.tables = EventCorrelator().correlate(self.log)

    def rows(self, table: str) -> list[Row]:
        found: list[Row] = self.tables[table].to_pylist()
        return found

    def who(self, process: int | None) -> str | None:
        """The name in the picture."""
        return None if process is None else self.names[process]

    def number(self, name: str) -> int:
        return next(number for number, known in self.names.items() if known == name)

    def process(self, name: str) -> Row:
        """The row of a process."""
        return self.rows("processes")[self.number(name)]

    def text(self, value: int | None) -> str | None:
        return None if value is None else inspect(self.log.values.term(value))

    def at(self, event: int | None) -> float | None:
        """The time of an event in µs of the picture, whose first event is taken to be at 0."""
        return None if event is None else int(self.log.rows["at"][event]) // 1000

    def frame(self, call: int | None) -> str | None:
        """`fun/1` of a frame."""
        row = next((row for row in self.rows("calls") if row["call"] == call), None)
        return None if row is None else f"{row['function']}/{row['arity']}"

    def tree(self) -> str:
        """All frames, one line each: who, indented name, outcome, and what a tail call continues."""
        lines = []
        for row in self.rows("calls"):
            tail = f" after {self.frame(row['tail_of'])}" if row["tail_of"] is not None else ""
            name = f"{'  ' * row['depth']}{row['function']}/{row['arity']}"
            lines.append(f"{self.who(row['process'])}: {name} {row['outcome']}{tail}")
        return "\n".join(lines)

    def letters(self) -> list[str]:
        """All messages: `client → seats call {:free?, _}`."""
        lines = []
        for row in self.rows("messages"):
            sender, receiver = self.who(row["from_process"]), self.who(row["to_process"]) or row["to_name"]
            lost = "" if row["receive_event"] is not None else " (never received)"
            lines.append(f"{sender} → {receiver} {row['kind']} {row['tag']}{lost}")
        return lines
