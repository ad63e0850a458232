"""Untrusted SQL: what may run, and what its errors say.

The database behind it has no files, network or extensions (see `coordinator`). This module refuses, before anything
runs, whatever is not one reading statement over the views, and table functions that could reach memory or settings.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import duckdb

from elixirscope.errors import QueryError

_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree", "repeat"})
_EXPLAIN: Final = re.compile(r"\s*explain\s+(?:analyze\b\s*)?(?:\([^)]*\)\s*)?", re.IGNORECASE)
_UNKNOWN_COLUMN: Final = re.compile(r'(?:column|named) "([^"]+)"')
_UNKNOWN_TABLE: Final = re.compile(r"Table with name (\S+) does not exist")
_READ_ONLY = "a recording is only read: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW and EXPLAIN are allowed"


def check(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any] | None:
    """Raise `QueryError` unless `text` is one statement that only reads.

    Returns its tree as `json_serialize_sql` gives it; None for an EXPLAIN.
    """
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise explain(error, {}) from None
    if len(statements) != 1:
        what = "no statement" if not statements else f"{len(statements)} statements"
        raise QueryError(f"the query holds {what}, not one", "ask one question at a time, without other text after `;`")
    kind = statements[0].type.name
    if kind == "EXPLAIN":
        prefix = _EXPLAIN.match(text)
        if prefix is None:
            raise QueryError("this EXPLAIN cannot be checked", "write it as: explain select …")
        check(connection, text[prefix.end() :])
        return None
    if kind != "SELECT":
        raise QueryError(f"{kind} statements are refused", _READ_ONLY)
    return _check_functions(connection, text)


def _check_functions(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    ((serialized,),) = connection.execute("select json_serialize_sql(?)", [text]).fetchall()
    tree: dict[str, Any] = json.loads(serialized)
    if tree.get("error"):
        raise QueryError(f"the query cannot be checked: {tree.get('error_message', 'unknown statement')}", _READ_ONLY)
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
            if node.get("type") == "TABLE_FUNCTION":
                name = str(node["function"].get("function_name", "")).lower()
                if name not in _TABLE_FUNCTIONS:
                    raise QueryError(
                        f"the table function {name}() is refused",
                        "queries read the views only, no files, settings or memory: `show tables` lists them",
                    )
    return tree


def positioned(connection: duckdb.DuckDBPyConnection, text: str, error: duckdb.Error) -> duckdb.Error:
    """The same error with the place it points at, which the database tells only when a statement is executed."""
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)) and "LINE" not in str(error):
        try:
            connection.execute(text).fetchall()
        except duckdb.Error as again:
            return again
    return error


def explain(error: duckdb.Error, columns: Mapping[str, Iterable[str]]) -> QueryError:
    """The database's own message (with the position it points at) and a next step. `columns`: view → its columns."""
    text = _without_doubt(str(error))
    if isinstance(error, duckdb.InterruptException):
        return QueryError("the query took too long and was stopped", "narrow it: by time, by process, or with LIMIT")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError("the query needs too much memory", "narrow it, or aggregate before sorting")
    if isinstance(error, duckdb.PermissionException):
        return QueryError(f"refused: {text}", "queries read the views only: `show tables` lists them")
    if table := _UNKNOWN_TABLE.search(text):
        near = _near(table.group(1), columns)
        return QueryError(text, f"{near}the views are: {', '.join(columns)}")
    if column := _UNKNOWN_COLUMN.search(text):
        elsewhere = [view for view, names in columns.items() if column.group(1).lower() in names]
        if elsewhere:  # to ask whether that name was meant would lead nowhere
            hint = f"{column.group(1)} is a column of {', '.join(elsewhere)}; `describe VIEW` lists those of another"
            return QueryError(text, hint)
        near = _near(column.group(1), {name for names in columns.values() for name in names})
        return QueryError(text, f"{near}`describe events` lists the columns of a view")
    return QueryError(text, "docs/schema.md describes the views, `describe events` lists the columns of one")


def _near(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name.lower(), list(names), n=2)
    return f"did you mean {' or '.join(close)}? " if close else ""


def _without_doubt(text: str) -> str:
    """The database's message without its own guesses, which may name what only the database has."""
    return re.sub(r'\nDid you mean "[^"\n]*"\?', "", text).strip()
