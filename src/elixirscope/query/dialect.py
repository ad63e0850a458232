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
# After these a value must follow, so that END is a column there even within a CASE
_BEFORE_VALUE: Final = re.compile(
    r"(?:[(,=<>+\-*/%|]|\b(?:when|then|else|case|and|or|not|between|like|in|select|where|by|on|having))\s*$",
    re.IGNORECASE,
)
_TIME_ZONE: Final = re.compile(r"\s*(?:time\s+zone\b|\()", re.IGNORECASE)


@lru_cache(maxsize=512)
def quote_words(sql: str) -> str:
    """`sql` with `at` and `end` quoted where they name a column: not AT TIME ZONE, not the END of a CASE."""
    out, position, cases = list[str](), 0, 0
    for token in _TOKEN.finditer(sql):
        word = (token["word"] or "").lower()
        if word not in ("at", "end", "case"):
            continue
        before = sql[max(0, token.start() - 40) : token.start()]
        qualified = before.rstrip().endswith(".")
        if word == "case":
            cases += not qualified
        elif word == "end" and cases and not qualified and not _BEFORE_VALUE.search(before):
            cases -= 1
        elif word == "end" or not _TIME_ZONE.match(sql, token.end()):
            out += [sql[position : token.start()], f'"{token.group()}"']
            position = token.end()
    return "".join([*out, sql[position:]])
