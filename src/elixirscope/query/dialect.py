"""Our SQL is DuckDB's, except that the column names `at` and `end`, which are words of its grammar, need no quotes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<word> [^\W\d]\w* )""",
    re.VERBOSE | re.DOTALL,
)
_TIME_ZONE: Final = re.compile(r"\s*(?:time\s+zone\b|\()", re.IGNORECASE)


@lru_cache(maxsize=512)
def quote_words(sql: str) -> str:
    """`sql` with `at` and `end` quoted where they name a column: not AT TIME ZONE, not the END of a CASE."""
    out, position, cases = list[str](), 0, 0
    for token in _TOKEN.finditer(sql):
        word = (token["word"] or "").lower()
        qualified = sql[: token.start()].rstrip().endswith(".") if word in ("at", "end", "case") else False
        if word == "case" and not qualified:
            cases += 1
        elif word == "end" and cases and not qualified:
            cases -= 1
        elif word == "end" or (word == "at" and not _TIME_ZONE.match(sql, token.end())):
            out += [sql[position : token.start()], f'"{token.group()}"']
            position = token.end()
    return "".join([*out, sql[position:]])
