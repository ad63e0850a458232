"""What all subcommands print with: results on stdout (tables or JSON), everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from elixirscope.capture.stale import bring_home

if TYPE_CHECKING:
    from rich.console import Console

    from elixirscope.film import Film

_LAST = "last"


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The path of a recording: `last` is the newest of those whose place nobody chose."""
    if value != _LAST or Path(value).exists():
        return value
    from elixirscope.capture.recorder import newest

    return str(newest())


recording_argument = click.argument("recording", type=click.Path(path_type=str), metavar="REC", callback=_named)
last_recording_argument = click.argument(
    "recording", type=click.Path(path_type=str), metavar="[REC]", callback=_named, required=False, default=_LAST
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def open_film(recording: str) -> Film:
    """Open a recording, saying what takes its time. Raises `RecordingError`."""
    from elixirscope.film import Film  # numpy, Arrow and DuckDB load only here

    bring_home(Path(recording), lambda text: click.echo(f"elixirscope: {text}", err=True))

    with progress("opening") as tell:
        return Film.open(recording, progress=tell)


@contextmanager
def progress(first: str) -> Iterator[Callable[[str], None]]:
    """Where a person is watching, shows on standard error what is being done; `first` until told otherwise."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console  # takes longer to load than most commands to run

    with Console(stderr=True).status(f"{first} …") as status:
        yield lambda text: status.update(f"{text} …")


_UNWRAPPED = 1_000_000  # characters: a row is a line to whatever reads it
_WHOLE = 12  # characters of a column that is not broken into lines
_NARROWEST = 11  # characters to a column of a table that can be read


def console() -> Console:
    """Standard output: styled on a terminal, plain and unwrapped in a pipe."""
    from rich.console import Console

    piped = not sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=piped, width=_UNWRAPPED if piped else None)


def print_json(value: Any) -> None:
    """`value` (msgspec structs included) as indented JSON on stdout."""
    encoded = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    click.echo(encoded.decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[str] = ()) -> None:
    """A plain table on stdout; on a terminal that is too narrow for it, a line per cell. Cells are recorded text: shown
    as text, with control characters made visible."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    if len(columns) * _NARROWEST > out.width:
        wide = max(map(len, columns))
        for number, row in enumerate(rows, 1):
            out.print(Text(f"row {number}", style="bold"))
            for column, cell in zip(columns, row, strict=True):
                out.print(Text(f"  {column:<{wide}}  {plain(cell)}"))
        return
    numeric = set(right)
    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = [[plain(cell) for cell in row] for row in rows]
    for column, inside in zip(columns, zip(*cells, strict=True) if cells else [()] * len(columns), strict=True):
        whole = max(map(len, (column, *inside))) <= _WHOLE  # numbers and times stay on one line, where that leaves room
        table.add_column(
            column,
            justify="right" if column in numeric else "left",
            overflow="fold",
            no_wrap=whole and len(columns) * _WHOLE <= out.width,
        )
    for line in cells:
        table.add_row(*map(Text, line))
    out.print(table)


def plain(value: object) -> str:
    """`value` as one line of text in which no recorded byte can steer the terminal."""
    if value is None:
        return "–"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def duration(ns: int | None) -> str:
    """Nanoseconds as a person reads them: `812 ns`, `44.218 ms`, `3.02 s`."""
    if ns is None:
        return "–"
    for limit, unit, scale in ((1_000, "ns", 1), (1_000_000, "µs", 1e3), (1_000_000_000, "ms", 1e6)):
        if abs(ns) < limit:
            return f"{ns / scale:.3f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{ns / 1e9:.3f} s"


def size(count: int) -> str:
    """Bytes as a person reads them: `812 B`, `12.3 MB`."""
    if count < 1_000:
        return f"{count} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        if count < scale * 1_000:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"
