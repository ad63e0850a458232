"""Message flows: from the place a message is sent to the callback clause that handles it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from elixirscope.brain.facts import Call, Flow, Function, Handler, Module, OpKind

_OPS: dict[tuple[str | None, str], OpKind] = {
    ("GenServer", "call"): "call",
    ("GenServer", "cast"): "cast",
    (":gen_server", "call"): "call",
    (":gen_server", "cast"): "cast",
    (":gen_statem", "call"): "call",
    (":gen_statem", "cast"): "cast",
    ("GenStage", "call"): "call",
    ("GenStage", "cast"): "cast",
    ("Agent", "get"): "get",
    ("Agent", "update"): "update",
    ("Agent", "get_and_update"): "update",
    ("Agent", "cast"): "update",
    ("Process", "send"): "send",
    ("Process", "send_after"): "send",
    (None, "send"): "send",
    (":erlang", "send"): "send",
    ("Phoenix.PubSub", "broadcast"): "publish",
    ("Phoenix.PubSub", "broadcast!"): "publish",
    ("Phoenix.PubSub", "local_broadcast"): "publish",
    ("Phoenix.PubSub", "local_broadcast!"): "publish",
    ("Registry", "dispatch"): "publish",
}
_CALLBACK = {"call": "handle_call", "cast": "handle_cast", "send": "handle_info", "publish": "handle_info"}


def operation(call: Call) -> OpKind | None:
    """What kind of message the call sends, None when it sends none."""
    return _OPS.get((call.module, call.name))


class Servers:
    """The project's modules by name, and which of them handle what."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.modules = {module.name: module for module in modules}
        self._by_tag: dict[tuple[str, str], set[str]] = {}
        for module in modules:
            for handler in module.handlers:
                self._by_tag.setdefault((handler.callback, handler.tag), set()).add(module.name)

    def target(self, call: Call, kind: OpKind, module: Module) -> str | None:
        """The module that a message sent in `module` goes to, None when the source does not tell."""
        if not call.target.startswith("<"):
            # A name that is not a module of the project may be a registered name: the tag tells whose.
            return call.target if call.target in self.modules else self._owner(call, kind, module) or call.target
        return self._owner(call, kind, module)

    def handler(self, target: str | None, kind: OpKind, tag: str) -> Handler | None:
        """The clause of `target` that handles such a message: by its tag, else one that takes anything."""
        module = self.modules.get(target or "")
        if module is None or tag == "*":
            return None
        found = [h for h in module.handlers if h.callback == _CALLBACK.get(kind)]
        exact = [h for h in found if h.tag == tag]
        return next(iter(exact or [h for h in found if h.tag == "*"]), None)

    def _owner(self, call: Call, kind: OpKind, module: Module) -> str | None:
        if kind in ("get", "update"):
            return module.name if "Agent" in module.behaviours else None
        owners = self._by_tag.get((_CALLBACK.get(kind, ""), call.tag), set()) if call.tag != "*" else set()
        if module.name in owners:
            return module.name  # a client function beside its server, however the server is named
        return next(iter(owners)) if len(owners) == 1 else None


def find_flows(modules: Iterable[Module], servers: Servers) -> tuple[Flow, ...]:
    """Every message that the source sends."""
    return tuple(
        _flow(module, function, call, kind, servers)
        for module in modules
        for function in module.functions
        for call in function.calls
        if (kind := operation(call)) is not None
    )


def _flow(module: Module, function: Function, call: Call, kind: OpKind, servers: Servers) -> Flow:
    target = servers.target(call, kind, module)
    handler = servers.handler(target, kind, call.tag)
    return Flow(
        kind=kind,
        source=f"{module.name}.{function.key}",
        target=target,
        tag=call.tag,
        file=module.file,
        line=call.line,
        handler_line=handler.line if handler else None,
    )
