"""Which fields of the structs that most applications have say most: recorded first, and shown first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from elixirscope.recording.terms import Atom, ElixirMap, Term

# What is small and tells cases apart comes first; of two large fields the later one gets what the earlier left.
FIRST: Final[dict[str, tuple[str, ...]]] = {
    "Plug.Conn": ("method", "request_path", "status", "params", "assigns"),
    "Plug.Conn.WrapperError": ("kind", "reason", "stack"),
    "Phoenix.LiveView.Socket": ("view", "assigns"),
    "Phoenix.Socket": ("topic", "channel", "joined", "id", "assigns"),
    "Phoenix.Socket.Message": ("topic", "event", "payload"),
    "Phoenix.Socket.Reply": ("topic", "status", "payload"),
    "Phoenix.Socket.Broadcast": ("topic", "event", "payload"),
    "Phoenix.HTML.Form": ("name", "action", "errors", "params", "data"),
    "Ecto.Changeset": ("valid?", "action", "errors", "changes", "params", "data"),
    "Ecto.Query": ("from", "wheres", "joins", "select", "limit"),
    "Ecto.Multi": ("names", "operations"),
    "Ecto.Schema.Metadata": ("state", "source"),
    "Ecto.Association.NotLoaded": ("__field__",),
    "Postgrex.Query": ("statement", "name"),
    "Postgrex.Result": ("command", "num_rows", "columns", "rows"),
    "MyXQL.Result": ("num_rows", "last_insert_id", "columns", "rows"),
    "Exqlite.Result": ("command", "num_rows", "columns", "rows"),
    "Oban.Job": ("id", "worker", "state", "attempt", "queue", "args", "errors"),
    "Broadway.Message": ("status", "data", "metadata"),
    "GenStage": ("mod", "type", "state"),
    "Absinthe.Resolution": ("state", "errors", "arguments", "value", "context"),
    "Ash.Changeset": ("valid?", "resource", "action_type", "errors", "attributes", "arguments"),
    "Swoosh.Email": ("subject", "to", "from", "assigns", "text_body"),
    "Req.Request": ("method", "url", "body", "headers"),
    "Req.Response": ("status", "body", "headers"),
    "Tesla.Env": ("method", "url", "status", "query", "body"),
    "Finch.Request": ("method", "host", "path", "query", "body"),
    "Finch.Response": ("status", "body", "headers"),
    "HTTPoison.Response": ("status_code", "request_url", "body"),
}


def in_order(term: dict[Term, Term] | ElixirMap) -> Iterable[tuple[Term, Term]]:
    """The pairs of a map as they are shown: of a struct of those above, its first fields first."""
    name = term.get("__struct__") if isinstance(term, dict) else None
    first = FIRST.get(name.removeprefix("Elixir.")) if isinstance(name, Atom) else None
    if first is None:
        return term.items()
    place = {field: number for number, field in enumerate(first)}
    return sorted(term.items(), key=lambda pair: place.get(pair[0], len(place)))
