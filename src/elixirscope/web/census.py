"""What pages were told of processes, so that each edition of a recording that is being made tells only what is new."""

from __future__ import annotations

import secrets
import threading
from typing import Any, Final

Row = dict[str, Any]

_KEPT: Final = 4  # versions that a page may still have: each page asks anew a few times a second


class Census:
    """The rows of processes in their order, as last told, and some times before. Rows that stay the same are shared."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server = secrets.token_hex(4)  # a page must not take another server's version for one that it knows
        self._count = 0
        self._told: dict[str, dict[int, Row]] = {}

    def news(self, rows: list[Row], known: str) -> dict[str, Any]:
        """What a page is to be told that has the version `known`, "" for none: all rows; or, where that version is
        still kept, the rows that are others since, and the numbers of all in their order."""
        with self._lock:
            version, now = self._version(rows)
            before = self._told.get(known)
            if before is None:
                return {"version": version, "processes": rows}
            changed = [row for process, row in now.items() if before.get(process) is not row]
            return {"version": version, "processes": changed, "order": list(now)}

    def _version(self, rows: list[Row]) -> tuple[str, dict[int, Row]]:
        """The version that these rows are: the one told last, or a new one."""
        last = next(reversed(self._told), "")
        before = self._told.get(last, {})
        now = dict[int, Row]()
        for row in rows:
            same = before.get(row["process"])
            now[row["process"]] = same if same is not None and same == row else row
        if last and list(now) == list(before) and all(before[process] is row for process, row in now.items()):
            return last, before
        self._count += 1
        version = f"{self._server}-{self._count}"
        self._told[version] = now
        while len(self._told) > _KEPT:
            del self._told[next(iter(self._told))]
        return version, now
