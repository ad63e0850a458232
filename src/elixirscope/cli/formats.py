"""The rows of an answer in the form that was asked for: a table, JSON, CSV, Parquet or Arrow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click
import msgspec

from elixirscope.cli.output import print_table
from elixirscope.errors import EnvironmentProblem, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: Final = ("table", "json", "csv", "parquet", "arrow")
_BINARY: Final = ("parquet", "arrow")
_ENDINGS: Final = {".json": "json", ".csv": "csv", ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow"}

format_option = click.option(
    "--format", "form", type=click.Choice(FORMATS), help="How to write the rows (default: table)."
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file; its ending chooses the format.",
)


def chosen(form: str | None, as_json: bool, output: Path | None) -> str:
    """The format meant by the options. Raises `UsageError` where they contradict, and for bytes on a terminal."""
    if as_json and form not in (None, "json"):
        raise UsageError(f"--json and --format {form} contradict each other", "give one of them")
    found = "json" if as_json else form
    if found is None:
        found = _ENDINGS.get(output.suffix.lower(), "table") if output is not None else "table"
    if found in _BINARY and output is None and sys.stdout.isatty():
        raise UsageError(
            f"{found} is a binary format, and this is a terminal",
            f"write it to a file with -o rows.{found}, or into a pipe",
        )
    return found


def write_rows(table: pa.Table, form: str, output: Path | None) -> None:
    """Write `table` to `output`, or to standard output. Raises `EnvironmentProblem` when the file cannot be written."""
    if form == "table" and output is None:
        print_table(table.column_names, zip(*(column.to_pylist() for column in table.columns), strict=True))
        return
    write = _WRITERS[form]
    if output is None:
        write(table, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as file:
            write(table, file)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot write {output}: {error.strerror or error}", "choose another place with -o"
        ) from error


def _json(table: pa.Table, file: BinaryIO) -> None:
    file.write(msgspec.json.format(msgspec.json.encode(table.to_pylist(), enc_hook=str), indent=2) + b"\n")


def _csv(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.csv

    pyarrow.csv.write_csv(_flat(table), file)


def _text(table: pa.Table, file: BinaryIO) -> None:
    names = table.column_names
    lines = ["\t".join(names), *("\t".join(str(row[name]) for name in names) for row in table.to_pylist())]
    file.write(("\n".join(lines) + "\n").encode())


def _flat(table: pa.Table) -> pa.Table:
    """Lists as text: CSV has no nesting."""
    import pyarrow as pa

    for number, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else str(value) for value in table.column(number).to_pylist()]
            table = table.set_column(number, field.name, pa.array(texts, pa.string()))
    return table


def _parquet(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, file, compression="zstd")


def _arrow(table: pa.Table, file: BinaryIO) -> None:
    import pyarrow.ipc

    with pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


_WRITERS: Final[dict[str, Callable[[pa.Table, BinaryIO], None]]] = {
    "table": _text,
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
    "arrow": _arrow,
}
