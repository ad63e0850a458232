"""The same questions asked plainly: by DuckDB scanning the tables, and by Python going through all rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb
import numpy as np
from chains import Chains

from elixirscope.film import Film
from elixirscope.query.density import density, edges
from elixirscope.query.dialect import quote_words
from elixirscope.query.profile import top_functions
from elixirscope.recording.format import Kind


class Scans:
    """DuckDB over the same mapped tables, without our indexes."""

    def __init__(self, film: Film) -> None:
        self.connection = duckdb.connect(config={"memory_limit": "6GB"})
        for name in ("events", "calls", "messages", "states"):
            self.connection.register(name, film.table(name))

    def run(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        return list(self.connection.execute(quote_words(sql), list(params)).fetchall())

    def window(self, process: int, start: int, end: int) -> list[tuple[Any, ...]]:
        return self.run(
            "select * from events where process = ? and at >= ? and at < ? order by event", process, start, end
        )

    def state(self, process: int, at: int) -> list[tuple[Any, ...]]:
        return self.run(
            "select state, value from states where process = ? and at <= ? order by state desc limit 1", process, at
        )

    def flow(self, a: int, b: int, start: int, end: int) -> list[tuple[Any, ...]]:
        return self.run(
            """select message from messages where from_process = ? and to_process = ?
            and coalesce(sent_at, received_at) >= ? and coalesce(sent_at, received_at) < ? order by message""",
            *(a, b, start, end),
        )

    def density(self, lanes: list[int], start: int, bucket: int, end: int) -> list[tuple[Any, ...]]:
        return self.run(
            f"""select process, (at - ?) // ? as bucket, count(*) filter (kind = {Kind.CALL.value}),
            count(*) filter (kind in ({Kind.SEND.value}, {Kind.RECEIVE.value})),
            count(*) filter (kind = {Kind.STATE.value})
            from events where at >= ? and at <= ? and list_contains(?, process) group by all""",
            *(start, bucket, start, end, lanes),
        )

    def top(self, start: int, end: int) -> list[tuple[Any, ...]]:
        return self.run(
            """with own as (select c.module, c.function, c.arity, c."end" - c.start
                - coalesce(sum(k."end" - k.start), 0) as self from calls c left join calls k on k.parent = c.call
                where c.start >= ? and c.start < ? group by c.call, c.module, c.function, c.arity, c."end", c.start)
            select module, function, arity, count(*), sum(self) as self from own group by all order by self desc""",
            *(start, end),
        )


def check(film: Film, seed: int) -> dict[str, bool]:
    """Answers of a small recording against Python that goes through every row: question → equal."""
    random = np.random.default_rng(seed)
    rows = film.table("events").to_pylist()
    calls, states, messages = (film.table(name).to_pylist() for name in ("calls", "states", "messages"))
    length, count = film.info.duration_ns, film.info.processes
    same = dict.fromkeys(
        ("overview", "window", "state", "flow", "density", "top", "slice", "nearest", "dataflow"), True
    )
    children: Counter[int] = Counter()
    for call in calls:
        call["span"] = (call["end"] if call["end"] is not None else length) - call["start"]
        if call["parent"] is not None:
            children[call["parent"]] += call["span"]
    counted = Counter(row["process"] for row in rows)
    same["overview"] &= (film.info.events, film.info.messages, film.info.states) == (
        len(rows),
        len(messages),
        len(states),
    )
    same["overview"] &= all(row["events"] == counted[row["process"]] for row in film.query.processes)
    chains = Chains(film)
    for _ in range(12):
        start = int(random.integers(0, length))
        end = start + length // 20
        message = messages[int(random.integers(0, len(messages)))]
        process, other = message["to_process"], message["from_process"]
        mine = [row for row in rows if row["process"] == process and start <= row["at"] < end]
        same["window"] &= film.query.window(process, start, end).to_pylist() == mine
        before = [row for row in states if row["process"] == process and row["at"] <= start]
        same["state"] &= film.dags.state.row_at(process, start) == (before[-1] if before else None)
        sent = [
            row
            for row in messages
            if (row["from_process"], row["to_process"]) == (other, process)
            and start <= (row["sent_at"] if row["sent_at"] is not None else row["received_at"]) < length
        ]
        same["flow"] &= film.query.flow(other, process, start, length).to_pylist() == sent
        bounds, bucket = edges(start, end, 200)
        seen = [row for row in rows if row["process"] == process and start <= row["at"] <= end]
        for sort, kinds in (
            ("calls", (Kind.CALL,)),
            ("messages", (Kind.SEND, Kind.RECEIVE)),
            ("errors", (Kind.RAISE,)),
        ):
            plain = Counter(min((row["at"] - start) // bucket, len(bounds) - 2) for row in seen if row["kind"] in kinds)
            got = density(film.query, sort, bounds, process).tolist()
            same["density"] &= got == [plain[number] for number in range(len(bounds) - 1)]
        plain_top: Counter[tuple[Any, ...]] = Counter()
        for call in calls:
            if start <= call["start"] < end:
                plain_top[call["module"], call["function"], call["arity"]] += call["span"] - children[call["call"]]
        hot = {(h.module, h.function, h.arity): h.self_ns for h in top_functions(film.query, start, end, None)}
        same["top"] &= hot == dict(plain_top)
        event = int(random.integers(0, len(rows)))
        reached, todo = set[int](), [event]
        while todo:
            row = rows[todo.pop()]
            for cause in (row["previous"], row["cause"]):
                if cause is not None and cause not in reached:
                    reached.add(cause)
                    todo.append(cause)
        same["slice"] &= film.dags.causality.slice(event).tolist() == sorted(reached)
        causality = film.dags.causality
        past = causality.past(event)
        same["slice"] &= len(past) == len(reached) and past.latest(100).tolist() == sorted(reached, reverse=True)[:100]
        for nearest in (causality.nearest(event, 50).tolist(), [step.event for step in causality.backward(event, 50)]):
            same["nearest"] &= nearest == sorted(reached, reverse=True)[:50]
        bound = chains.bindings[int(random.integers(0, len(chains.bindings)))]
        chain = [(hop.event, hop.kind) for hop in film.dags.dataflow.flow(bound["event"], bound["name"]).hops]
        same["dataflow"] &= chain == chains.of_binding(bound)
    assert count
    return same
