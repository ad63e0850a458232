"""Small HTML for notebooks. Recorded values are hostile text: everything is escaped, and nothing can be clicked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LONGEST = 100
_STYLE = "text-align:left;white-space:nowrap"  # a row is a line, however many columns there are


def table(columns: Sequence[str], rows: Iterable[Iterable[object]], title: str = "", total: int | None = None) -> str:
    """A table; `total` tells how many rows there are when not all are shown."""
    shown = [[text(cell) for cell in row] for row in rows]
    head = f"<tr>{''.join(f'<th>{text(column)}</th>' for column in columns)}</tr>" if any(columns) else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in shown)
    caption = f'<caption style="text-align:left">{text(title)}</caption>' if title else ""
    more = f"<p>{len(shown):,} of {total:,} rows</p>" if total is not None and total > len(shown) else ""
    return f'<div style="overflow-x:auto"><table style="{_STYLE}">{caption}{head}{body}</table></div>{more}'


def code(content: str) -> str:
    """Text in the form it has."""
    return f"<pre>{escape(_visible(content, keep=chr(10)))}</pre>"


def text(value: object) -> str:
    """Anything as escaped text in which no recorded character can mislead."""
    if value is None:
        return "–"
    shown = getattr(value, "text", value)
    written = _visible(shown if isinstance(shown, str) else str(shown))
    return escape(written if len(written) <= _LONGEST else written[: _LONGEST - 1] + "…")


def _visible(content: str, keep: str = "") -> str:
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in content)
