"""The questions that have bars, asked of random places: the same for the same recording.

python benchmarks/questions.py REC.scope NAME      # ms of the first question in a fresh process
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from elixirscope.film import Film
from elixirscope.query.density import densities, edges
from elixirscope.query.profile import top_functions

LANES: Final = 40
ASKED: Final = 60  # how often each question is asked
BARS: Final = {
    "window": ("one process, 5% window", 30),
    "state": ("state at T, as text", 5),
    "flow": ("flow between two processes", 5),
    "density": (f"density, 2,000 px × {LANES} lanes, any zoom", 50),
    "top": ("top functions by self time, any window", 60),
    "slice": ("backward slice, unlimited, counted", 400),
    "nearest": ("backward slice, nearest 1,000", 5),
    "dataflow": ("data-flow chain of one value", 100),
}
COLD: Final = {"state": 50, "flow": 50}  # ms; of the others no bar is set for the first question


class Questions:
    """What is asked, by name and number."""

    def __init__(self, film: Film) -> None:
        self.film = film
        query, random = film.query, np.random.default_rng(7)
        self.length = film.info.duration_ns
        self.part = self.length // 20
        self.starts = random.integers(0, self.length - self.part, ASKED + 1).tolist()
        picked = random.integers(0, film.info.messages, ASKED + 1)
        self.receivers = query.column("messages", "to_process")[picked].tolist()
        self.senders = query.column("messages", "from_process")[picked].tolist()
        self.lanes = list(range(1, 1 + min(LANES, film.info.processes - 1)))
        self.owners = query.column("states", "process")[random.integers(0, film.info.states, ASKED + 1)].tolist()
        self.zooms = [(start, start + max(2000, self.length >> (n % 8))) for n, start in enumerate(self.starts)]
        events = film.info.events
        self.late = random.integers(events * 9 // 10, events - 2000, ASKED + 1).tolist()
        numbers = random.integers(0, len(query.column("bindings", "event")), ASKED + 1).tolist()
        self.bound = [(row["event"], row["name"]) for row in (query.indexes.row("bindings", n) for n in numbers)]

    def ask(self, name: str) -> Callable[[int], object]:
        """The question `name`, to be given a number up to `ASKED`."""
        query, dags = self.film.query, self.film.dags
        asked: dict[str, Callable[[int], object]] = {
            "window": lambda n: query.window(self.receivers[n], self.starts[n], self.starts[n] + self.part),
            "state": lambda n: dags.state.at(self.owners[n], self.length - self.starts[n] // 2),
            "flow": lambda n: query.flow(self.senders[n], self.receivers[n], self.starts[n], self.length),
            "density": lambda n: densities(query, edges(*self.zooms[n], 2000)[0], self.lanes),
            "top": lambda n: top_functions(query, *self.zooms[n]),
            "slice": lambda n: len(dags.causality.past(self.late[n])),
            "nearest": lambda n: dags.causality.nearest(self.late[n], 1000),
            "dataflow": lambda n: dags.dataflow.flow(*self.bound[n]),
        }
        return asked[name]


def main() -> None:
    """Open, and ask one question once."""
    questions = Questions(Film.open(Path(sys.argv[1])))
    ask = questions.ask(sys.argv[2])
    started = time.perf_counter()
    ask(ASKED)
    print((time.perf_counter() - started) * 1000)


if __name__ == "__main__":
    main()
