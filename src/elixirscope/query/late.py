"""Values decoded last: `select * from calls order by duration desc limit 5` needs five texts, not those of all calls.

The database works out every column before it sorts. Where a query only passes value columns on, they hold a ticket
while it runs, and the rows that are left get their texts. `can_wait` is strict: any use of a value column that it does
not know means the plain, slow way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from elixirscope.query.views import VIEWS

_VALUE_COLUMNS: Final = frozenset(
    column.name for view in VIEWS.values() for column in view.columns if "_text(" in column.sql
)


def can_wait(tree: dict[str, Any]) -> bool:
    """Whether the statement (as `json_serialize_sql` gives it) sorts or cuts rows and only passes value columns on."""
    node = tree["statements"][0]["node"]
    if node.get("type") != "SELECT_NODE" or node["cte_map"]["map"] or node.get("group_expressions"):
        return False
    if node.get("aggregate_handling") != "STANDARD_HANDLING" or node.get("qualify") or node.get("sample"):
        return False
    kinds = {modifier["type"] for modifier in node["modifiers"]}
    if not kinds or not kinds <= {"ORDER_MODIFIER", "LIMIT_MODIFIER"}:
        return False
    tables = _tables(node["from_table"])
    if tables is None:
        return False
    rest = [item for item in node["select_list"] if not _passed_on(item)]
    orders = [order for m in node["modifiers"] if m["type"] == "ORDER_MODIFIER" for order in m["orders"]]
    if any(order["expression"]["class"] == "CONSTANT" for order in orders):
        return False  # ORDER BY 3 names a column by its place
    rest += [node.get("where_clause"), node.get("having"), node["from_table"], node["modifiers"]]
    return not _touches_values(rest, tables)


def _tables(source: dict[str, Any]) -> set[str] | None:
    """The names under which tables are joined; None where the source is anything else."""
    if source["type"] == "BASE_TABLE":
        return {str(source.get("alias") or source["table_name"]).lower(), str(source["table_name"]).lower()}
    if source["type"] == "JOIN":
        left, right = _tables(source["left"]), _tables(source["right"])
        return None if left is None or right is None else left | right
    return None


def _passed_on(item: dict[str, Any]) -> bool:
    """A plain `*`, or a value column under its own name."""
    if item["class"] == "STAR":
        return not (item.get("expr") or item.get("replace_list") or item.get("columns") or item.get("rename_list"))
    return (
        item["class"] == "COLUMN_REF" and not item.get("alias") and item["column_names"][-1].lower() in _VALUE_COLUMNS
    )


def _touches_values(parts: list[Any], tables: set[str]) -> bool:
    """Whether anything in `parts` reads a value column, a whole row or all columns, or asks another question."""
    stack = list(parts)
    while stack:
        part = stack.pop()
        if isinstance(part, list):
            stack.extend(part)
        elif isinstance(part, dict):
            if part.get("class") in ("STAR", "SUBQUERY", "LAMBDA"):
                return True
            if part.get("class") == "COLUMN_REF":
                names = [str(name).lower() for name in part["column_names"]]
                if names[-1] in _VALUE_COLUMNS or names[-1] in tables:
                    return True
            using = part.get("using_columns") or ()
            if any(str(name).lower() in _VALUE_COLUMNS for name in using) or part.get("ref_type") == "NATURAL":
                return True
            stack.extend(part.values())
    return False


def ticket(nonce: str, *numbers: pa.Array) -> pa.Array:
    """What stands for values until their rows are known: the nonce and the arguments of the text function."""
    return pc.binary_join_element_wise(
        nonce, *(pc.cast(n, pa.string()) for n in numbers), ",", null_handling="emit_null"
    )


def redeem(table: pa.Table, nonce: str, text: Callable[[list[int]], str | None]) -> pa.Table:
    """The table with every ticket made a text."""
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cells = [
                text([int(n) for n in cell[len(nonce) + 1 :].split(",")]) if cell and cell.startswith(nonce) else cell
                for cell in table.column(number).to_pylist()
            ]
            table = table.set_column(number, field, pa.chunked_array([pa.array(cells, pa.string())]))
    return table
