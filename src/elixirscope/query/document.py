"""docs/schema.md, written from the code: `python -m elixirscope.query.document > docs/schema.md`."""

from __future__ import annotations

import sys
from typing import Final

import pyarrow as pa

from elixirscope.query.views import VIEWS, Column
from elixirscope.recording.schema import SCHEMA_VERSION, TABLES

_INTRODUCTION: Final = f"""# The SQL views (schema {SCHEMA_VERSION})

`elixirscope query REC "select …"`, the Cinema's Query tab and `film.query.sql("…")` read these views. The dialect is
DuckDB's; the columns `at` and `end` need no quotes. Only reading is possible: no files, no network, no settings.

- Times (`at`, `*_at`, `start`, `end`) are ns since the recording's start.
- `event` numbers events over the whole recording, in order of time. `call` is the event that began a frame, `message`
  the event of a send, `state` the event of a state. `process` is a number; `label` is what a person calls the process.
- Values (`value`, `args`, `result`, `exit_reason`) are texts as IEx prints them, cut at 1,000 characters; `*_id` is
  equal for identical values. They are decoded for the rows and columns that a query reads: filter first.
- What is not known is null. `certain` is false where something was inferred, and `reason` says how.

This page is generated from `query/views.py` (`python -m elixirscope.query.document`).
"""

_DAGS: Final = {
    "dag_nodes": (
        "Nodes of the seven DAGs; docs/dags.md says what a node of each is.",
        {
            "dag": "temporal, interaction, state, code, dataflow, performance or causality",
            "node": "an event, but: a process (interaction), event × 256 + slot (dataflow)",
            "kind": "",
            "process": "",
            "at": "ns since the recording's start",
            "label": "",
        },
    ),
    "dag_edges": (
        "Edges of the seven DAGs, from what came first to what came of it.",
        {
            "dag": "",
            "source": "a node",
            "target": "a node",
            "kind": "docs/dags.md lists them",
            "certain": "false where the edge was inferred",
            "reason": "how it was inferred",
            "at": "ns since the recording's start",
        },
    ),
}


def schema_markdown() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for name, view in VIEWS.items():
        rows = [f"| `{column.name}` | {_type(name, column)} | {_meaning(column.meaning)} |" for column in view.columns]
        parts.append(_section(name, view.meaning, "| column | type | meaning |\n|---|---|---|", rows))
    for name, (meaning, columns) in _DAGS.items():
        rows = [f"| `{column}` | {_meaning(text)} |" for column, text in columns.items()]
        parts.append(_section(name, meaning, "| column | meaning |\n|---|---|", rows))
    return "\n".join(parts)


def _section(name: str, meaning: str, head: str, rows: list[str]) -> str:
    body = "\n".join(rows)
    return f"## {name}\n{meaning}\n\n{head}\n{body}\n"


def _type(view: str, column: Column) -> str:
    """The type in the table where the view shows the column as it is, else text or whole number by its expression."""
    if "_text(" in column.sql or column.sql.startswith(("case", "coalesce(q.label")) or column.name.endswith("label"):
        return "text"
    if "<> 0" in column.sql:
        return "boolean"
    schema = TABLES[view]
    for name in (column.name, column.sql.rsplit(".", 1)[-1].strip('"')):
        if name in schema.names:
            return _type_name(schema.field(name).type)
    return {"file": "text", "module": "text", "function": "text"}.get(column.name, "integer")


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_list(kind):
        return "list of text"
    return "integer" if pa.types.is_integer(kind) else "text"


def _meaning(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(schema_markdown())
