"""docs/schema.md is what the code says."""

from pathlib import Path

from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.query.document import schema_markdown
from elixirscope.query.views import VIEWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "schema.md"
_SQL_TYPES = {"BIGINT": "integer", "INTEGER": "integer", "SMALLINT": "integer", "VARCHAR": "text", "BOOLEAN": "boolean"}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == schema_markdown(), "run: python -m elixirscope.query.document > docs/schema.md"


def test_the_types_on_the_page_are_those_of_the_views(query: QueryCoordinator) -> None:
    page = schema_markdown()
    for view in VIEWS:
        section = page.split(f"\n## {view}\n")[1].split("\n## ")[0]
        result = query.sql(f"select * from {view} limit 0")
        for column, kind in zip(result.columns, result.types, strict=True):
            shown = _SQL_TYPES.get(kind, "list of text" if kind == "VARCHAR[]" else "text")
            assert f"| `{column}` | {shown} |" in section, (view, column, kind)
