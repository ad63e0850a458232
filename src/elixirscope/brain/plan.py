"""The plan: what to record of which code, as a value, as a file a person edits, and as the agent reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import tomlkit
from tomlkit.exceptions import ParseError

from elixirscope.brain.erlang import Atom, to_text
from elixirscope.brain.levels import INTENTS, LEVELS, PRESETS, Budgets, Intent, Level
from elixirscope.errors import UsageError
from elixirscope.recording.fields import FIRST

_MODULE = re.compile(r"[\w.*:@]+")
_FUNCTION = re.compile(r"[\w.*:@]+\..+/(\d+|\*)")  # names of tests have spaces
_WATCH = re.compile(r"(:[a-z]\w*|[A-Z]\w*(?:\.[A-Z]\w*)*)(?:\.([a-z_]\w*[?!]?))?")
_STRUCT = re.compile(r":[a-z]\w*|[A-Z]\w*(?:\.[A-Z]\w*)*")
_FIELD = re.compile(r"[a-z_]\w*[?!]?")
_BYTES = 1 << 26
_FIELDS = 16  # of a struct,
_STRUCTS = 500  # and of so many: what the native engine has room for


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record what `match` names at `level`. `*` stands for any run of characters; the first match wins."""

    match: str
    level: Level
    reason: str = ""


class Redact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What never leaves the VM: values under keys that contain one of `keys`, structs of `modules`."""

    keys: tuple[str, ...] = (
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "api-key",
        "apikey",
        "private_key",
        "passphrase",
        "credential",
        "authorization",
        "cookie",
    )
    modules: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds inside the VM; what does not fit is dropped and counted."""

    collector_events: int = 200_000
    memory_bytes: int = 64 * 1024 * 1024
    calls_per_second: int = 5_000  # of one function; more are counted and not recorded,
    calls_percent: int = 8  # or fewer, so that all take no more of one processor's time
    overhead_percent: int = 50  # of the processors' time, estimated
    step_after_ms: int = 2_000  # so long beyond a bound, then less is recorded
    step_back_ms: int = 10_000  # so long calm, then more again


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to record. Field for field what docs/format.md calls the plan, with a reason for each rule."""

    version: Literal[1] = 1
    intent: Intent = "debug"
    reason: str = ""  # why the levels below are not those of the intent
    default: Level = "full"
    dependencies: Level = "off"
    messages: bool = True
    lifecycle: bool = True
    scheduling: bool = False
    memory: bool = True
    watch: tuple[str, ...] = ()
    every_call: tuple[str, ...] = ()
    budgets: Budgets = Budgets()
    redact: Redact = Redact()
    limits: Limits = Limits()
    first: dict[str, tuple[str, ...]] = msgspec.field(default_factory=FIRST.copy)
    functions: tuple[Rule, ...] = ()
    modules: tuple[Rule, ...] = ()

    @property
    def lives_only(self) -> bool:
        """Whether nothing is recorded but the lives of processes and the tests."""
        levels = {self.default, self.dependencies, *(rule.level for rule in (*self.functions, *self.modules))}
        return levels == {"off"} and not self.messages and not self.scheduling

    @classmethod
    def of_intent(cls, intent: Intent) -> Plan:
        """The plan of an intent before anything is known about the code."""
        preset = PRESETS[intent]
        return cls(
            intent=intent,
            default=preset.default,
            dependencies=preset.dependencies,
            messages=preset.messages,
            lifecycle=preset.lifecycle,
            scheduling=preset.scheduling,
            memory=preset.memory,
            watch=preset.watch,
            budgets=preset.budgets,
            limits=Limits(calls_per_second=preset.calls_per_second, calls_percent=preset.calls_percent),
        )

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """Read a plan file. Raises `UsageError` that names the file and the line or key that is wrong."""
        file = Path(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise UsageError(
                f"cannot read the plan {file}: {reason}", "write one with: elixirscope plan . -o plan.toml"
            ) from error
        return cls.parse(text, str(file))

    @classmethod
    def parse(cls, text: str, name: str = "plan") -> Plan:
        """Read a plan from TOML text; `name` is what errors call it. What it leaves out is as its intent has it."""
        try:
            document = tomlkit.parse(text).unwrap()
        except ParseError as error:
            what = str(error).rsplit(" at line ", 1)[0]
            raise UsageError(
                f"{name}, line {error.line}, column {error.col}: {what}", "correct the TOML there"
            ) from error
        _check_first(document.get("first", {}), name, text)
        try:
            plan = msgspec.convert(_completed(document), cls)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            unknown = re.search(r"unknown field `(.+)`", message)
            path = where.rstrip("`") + (f".{unknown[1]}" if unknown else "")
            raise _wrong(name, text, path, message) from error
        _check(plan, name, text)
        return plan

    def dumps(self) -> str:
        """The plan as commented TOML, made to be read and edited; `parse` gives the same plan back."""
        return _to_toml(self)

    def dump(self, path: Path | str) -> None:
        """Write `dumps()` to `path`."""
        Path(path).write_text(self.dumps(), encoding="utf-8")

    def terms(self) -> str:
        """The plan as Erlang text for `file:consult/1`: one map, as docs/format.md defines it."""
        return to_text(
            {
                Atom("version"): self.version,
                Atom("intent"): Atom(self.intent),
                Atom("modules"): [(rule.match, Atom(rule.level)) for rule in self.modules],
                Atom("functions"): [(rule.match, Atom(rule.level)) for rule in self.functions],
                Atom("default"): Atom(self.default),
                Atom("dependencies"): Atom(self.dependencies),
                Atom("messages"): self.messages,
                Atom("lifecycle"): self.lifecycle,
                Atom("scheduling"): self.scheduling,
                Atom("memory"): self.memory,
                Atom("watch"): [_watched(entry) for entry in self.watch],
                Atom("every_call"): list(self.every_call),
                Atom("first"): {
                    _module(name): [Atom(f) for f in fields] for name, fields in self.first.items() if fields
                },
                Atom("budgets"): {Atom(k): v for k, v in msgspec.to_builtins(self.budgets).items()},
                Atom("redact"): {
                    Atom("keys"): list(self.redact.keys),
                    Atom("modules"): list(self.redact.modules),
                },
                Atom("limits"): {Atom(k): v for k, v in msgspec.to_builtins(self.limits).items()},
            }
        )


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    intent = document.get("intent", "debug")
    base: dict[str, Any] = msgspec.to_builtins(Plan.of_intent(intent if intent in INTENTS else "debug"))
    merged = base | document
    for key, value in base.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            merged[key] = value | document[key]
    return merged


def _watched(entry: str) -> tuple[Atom, Atom]:
    match = _WATCH.fullmatch(entry)
    assert match is not None, entry  # a loaded plan has been checked
    module, function = match.groups()
    return _module(module), Atom(function or "_")


def _module(name: str) -> Atom:
    return Atom(name[1:] if name.startswith(":") else f"Elixir.{name}")


def _check(plan: Plan, name: str, text: str) -> None:
    for table, pattern, example in (
        ("functions", _FUNCTION, "MyApp.Seats.put/2"),
        ("modules", _MODULE, "MyApp.*"),
    ):
        for index, rule in enumerate(getattr(plan, table)):
            if not pattern.fullmatch(rule.match):
                raise _wrong(name, text, f".{table}[{index}].match", f"`{rule.match}` is not like {example}")
    for index, entry in enumerate(plan.watch):
        if not _WATCH.fullmatch(entry):
            raise _wrong(name, text, f".watch[{index}]", f"`{entry}` is not like :ets or Registry.register")
    for index, entry in enumerate(plan.every_call):
        if not _MODULE.fullmatch(entry):
            raise _wrong(name, text, f".every_call[{index}]", f"`{entry}` is not like MyApp.*")
    for table in ("budgets", "limits"):
        for key, value in msgspec.to_builtins(getattr(plan, table)).items():
            most = _BYTES if table == "budgets" else 1 << 40
            if not 1 <= value <= most:
                raise _wrong(name, text, f".{table}.{key}", f"{value} is not between 1 and {most}")


def _check_first(first: Any, name: str, text: str) -> None:
    """The fields of structs, as the file has them: a name with dots that is not quoted has become tables by now."""
    if not isinstance(first, dict):
        raise _wrong(name, text, ".first", "it is a table of structs with their fields")
    for struct, fields in first.items():
        path = f'.first."{struct}"'
        if isinstance(fields, dict):
            while isinstance(fields, dict) and fields:
                part, fields = next(iter(fields.items()))
                struct = f"{struct}.{part}"
            raise _wrong(name, text, f".first.{struct}", f'put the name of the struct in quotes: "{struct}"')
        if not _STRUCT.fullmatch(struct):
            raise _wrong(name, text, path, f"`{struct}` is not like MyApp.Order")
        if not isinstance(fields, list) or not all(isinstance(field, str) for field in fields):
            raise _wrong(name, text, path, 'it is not a list of fields, as ["id", "state"]')
        for field in fields:
            if not _FIELD.fullmatch(field) or field == "__struct__" or len(field) > 255:
                raise _wrong(name, text, path, f"`{field}` is not like state or valid?")
        if len(set(fields)) < len(fields):
            raise _wrong(name, text, path, "it names a field twice")
        if len(fields) > _FIELDS:
            raise _wrong(name, text, path, f"{len(fields)} fields are more than {_FIELDS}")
    if len(first) > _STRUCTS - len(FIRST):
        raise _wrong(name, text, ".first", f"{len(first)} structs are more than {_STRUCTS - len(FIRST)}")


def _wrong(name: str, text: str, path: str, message: str) -> UsageError:
    key = path.lstrip(".")
    line = _line_of(text, key)
    place = f"{name}, line {line}" if line else name
    return UsageError(
        f"{place}: {key + ': ' if key else ''}{message}", f"levels are {', '.join(LEVELS)}; see docs/plans.md"
    )


def _line_of(text: str, path: str) -> int | None:
    """The 1-based line of the key a path like `functions[1].level` names, as near as the text shows it."""
    steps = [quoted or bare for quoted, bare in re.findall(r'"([^"]*)"|([^.\[\]"]+)', path)]
    if not steps:
        return None
    table, index = "", -1
    counts: dict[str, int] = {}
    nearest = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.]+)\s*\]", line)
        if header:
            table = header[2]
            counts[table] = counts.get(table, -1) + 1
            index = counts[table] if header[1] == "[[" else -1
        here = [table, *([str(index)] if index >= 0 else [])] if table else []
        key = re.match(r"""\s*(?:(["'])(.+?)\1|([\w.-]+))\s*=""", line)
        full = [*here, *([key[2]] if key[2] else key[3].split("."))] if key and not header else here
        if full and full == steps[: len(full)]:
            nearest = number  # the deepest match is the last one
            if full == steps:
                break
    return nearest


_HEADER = """\
What ElixirScope records. Made for intent "{intent}": {about}.
Edit it as you like and use it with: elixirscope record --plan FILE -- mix test

Levels, from least to most:
  off     nothing
  state   only OTP callbacks, with their messages and states
  calls   calls, returns and exceptions, without values
  values  and arguments, results, callback states
  full    and variables, and calls of what `watch` names"""


def _to_toml(plan: Plan) -> str:
    doc = tomlkit.document()
    for line in _HEADER.format(intent=plan.intent, about=PRESETS[plan.intent].about).splitlines():
        doc.add(tomlkit.comment(line))
    doc.add(tomlkit.nl())
    comments = {
        "default": "the project's own modules that no rule below names",
        "dependencies": "modules of other applications that no rule below names",
        "messages": "messages between processes, with their senders",
        "lifecycle": "processes: start, exit, link, name",
        "scheduling": "when the schedulers run and suspend each process",
        "memory": "how much memory each process has, looked at some times a second",
        "watch": "calls of these are recorded where they are made, at level full",
        "every_call": "modules whose calls are recorded however many there are in a second",
    }
    tables = {
        "budgets": "bytes kept of one value, roughly",
        "limits": "beyond these, events are dropped or calls only counted, and by and by less is recorded",
    }
    tables["redact"] = (
        "never leaves the VM: values under these keys (parts of names, any case), structs of these modules"
    )
    values = cast("dict[str, Any]", msgspec.to_builtins(plan))
    for key, value in values.items():
        if key in tables or key in ("functions", "modules", "first") or value == "":
            continue
        entry = tomlkit.item(list(value) if isinstance(value, (tuple, list)) else value)
        if key in comments:
            entry.comment(comments[key])
        doc.add(key, entry)
    for key, about in tables.items():
        _add_table(doc, key, about, values[key])
    for key, about in (("functions", "before modules"), ("modules", "on the module's name")):
        doc.add(tomlkit.nl())
        doc.add(tomlkit.comment(f"Rules for {key}: the first match wins, {about}."))
        rules = tomlkit.aot()
        for rule in values[key]:
            table = tomlkit.table()
            for name, value in rule.items():
                if value:
                    table.add(name, value)
            rules.append(table)
        if values[key]:
            doc.add(key, rules)
        else:
            example = "MyApp.Seats.put/2" if key == "functions" else "MyApp.*"
            for line in (f"[[{key}]]", f'match = "{example}"', 'level = "calls"'):
                doc.add(tomlkit.comment(line))
    _add_table(doc, "first", "of a struct that does not fit its budget, these fields are kept first", values["first"])
    return tomlkit.dumps(doc)


def _add_table(doc: tomlkit.TOMLDocument, key: str, about: str, values: dict[str, Any]) -> None:
    table = tomlkit.table()
    table.comment(about)
    for name, value in values.items():
        table.add(name, list(value) if isinstance(value, (tuple, list)) else value)
    doc.add(tomlkit.nl())
    doc.add(key, table)
