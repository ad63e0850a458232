"""The statements of a picture, each the events it stands for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elixirscope.pictures.layout import Row, read_rows
from elixirscope.pictures.literals import PictureError, Reader
from elixirscope.pictures.stage import UNIX, Frame, Stage, message_hash
from elixirscope.recording.format import FORMAT_VERSION, Flag, Kind
from elixirscope.recording.log import Log, read_log
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.terms import Atom, ImproperList, Term

_STATELESS = ("init",)  # callbacks that are given no state
_PLACE = re.compile(r"([\w./-]+\.exs?|[\w./-]+\.erl)?:(\d+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|µs|us|ms|s)?")
_UNITS = {"ns": 1, None: 1_000, "µs": 1_000, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def draw(picture: str) -> Log:
    """The event stream of a picture, through real raw files. Raises `PictureError` where it cannot be read."""
    stage = _play(picture)
    with tempfile.TemporaryDirectory() as folder:
        stage.write(Path(folder))
        return read_log(Path(folder))


def record(picture: str, folder: Path) -> Path:
    """A whole recording of a picture, as the recorder would leave it; returns `folder`."""
    stage = _play(picture)
    (folder / "raw").mkdir(parents=True)
    stage.write(folder / "raw")
    Manifest(FORMAT_VERSION, "0.1.0", ["picture"], "/", UNIX, exit_status=0, state="finished").save(folder)
    return folder


def _play(picture: str) -> Stage:
    names, rows = read_rows(picture)
    if not names:
        raise PictureError("the picture is empty", "begin with the names of the processes")
    stage = Stage(names)
    player = _Player(stage)
    for row in rows:
        stage.tick(row.at)
        player.play(row)
    return stage


class _Player:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._calls: dict[str, tuple[Term, str]] = {}  # label of a request → its tag and who asked
        self._row: Row
        self._read: Reader
        self._who = ""

    def play(self, row: Row) -> None:
        self._row, self._who = row, row.subject
        self._read = Reader(row.text, self._stage.pid, self._stage.ref)
        if row.target is not None:
            self._message(row.target)
        else:
            verb = self._read.name()
            if verb not in _STATEMENTS:
                raise PictureError(
                    f"line {row.line} of the picture: no statement begins with {verb!r}",
                    f"there are {', '.join(sorted(_STATEMENTS))}",
                )
            _STATEMENTS[verb](self)
        if not self._read.done():
            raise self._read.fail("nothing more")

    # Messages

    def _message(self, target: str) -> None:
        read, stage = self._read, self._stage
        peer: str | None = target
        if read.word("call"):
            request = read.value()
            label = read.name() if read.word("as") else f"{self._who}_{self._row.line}"
            tag = ImproperList([Atom("alias")], stage.ref(label))
            self._calls[label] = tag, self._who
            message: Term = (Atom("$gen_call"), (stage.pid(self._who), tag), request)
        elif read.word("cast"):
            message = (Atom("$gen_cast"), read.value())
        elif read.word("reply"):
            answer = read.value()
            read.expect("to")
            label = read.name()
            if label not in self._calls:
                raise PictureError(f"no call was named {label!r}", f"write `call … as {label}` before")
            message, peer = (self._calls[label][0], answer), None  # sent to the alias, which names no process
        else:
            message = read.value()
        later = self._duration() if read.word("arrives") else None
        seen = self._row.arrives and not read.word("lost")
        flags = self._flags()
        ref = message_hash(message)
        stage.emit(Kind.SEND, self._who, message, peer=peer, ref=ref, flags=flags)
        if seen:
            stage.emit(Kind.RECEIVE, target, message, later=later, peer=self._who, ref=ref, flags=flags)

    def _receives(self) -> None:
        message = self._read.value()
        peer = self._read.name() if self._read.word("from") else None
        self._emit(Kind.RECEIVE, message, peer=peer, ref=message_hash(message))

    def _sends(self) -> None:
        message = self._read.value()
        self._read.expect("to")
        name = self._read.value()
        flags = self._flags() | Flag.NO_RECEIVER
        self._stage.emit(Kind.SEND, self._who, (name, message), ref=message_hash(message), flags=flags)

    # Code

    def _called(self, kind: str) -> None:
        module, function = self._read.function()
        self._read.expect("(")
        args = self._read.values(")")
        arity, about = len(args), dict[str, Any]()
        if kind == "callback":
            kind, state = "function", function not in _STATELESS
            arity += state
            about = {"behaviour": Atom("Elixir.GenServer"), "callback": Atom("true")}
            if state:
                about["state_arg"] = arity
        about["arguments"] = tuple(args)
        self._enter(kind, module, function, arity, about)

    def _external(self) -> None:
        stack = self._stage.stacks.get(self._who)
        owner = stack[-1].module if stack else Atom("Elixir.Caller")
        module, function = self._read.function()
        self._read.expect("(")
        args = self._read.values(")")
        about = {"callee": (module, function, len(args)), "arguments": tuple(args)}
        self._enter("external", owner, stack[-1].function if stack else Atom("run"), len(args), about)

    def _runs(self) -> None:
        self._read.expect("test")
        name = Atom(f"test {self._read.string()}")
        self._read.expect("of")
        module = self._read.module()
        context = self._read.value() if self._read.word("given") else {}
        self._enter("function", module, name, 1, {"test": Atom("true"), "arguments": (context,)})

    def _enter(self, kind: str, module: Atom, function: Atom, arity: int, about: dict[str, Any]) -> None:
        arguments = about.pop("arguments")
        label = self._read.name() if self._read.word("as") else None
        site = self._stage.site(kind, module, function, arity, **about, **self._place())
        flags = self._flags()
        ts = self._stage.emit(Kind.CALL, self._who, arguments, site=site, flags=flags)
        self._stage.stacks.setdefault(self._who, []).append(Frame(ts, module, function, arity, label))

    def _return(self) -> None:
        value = self._read.value()
        self._in_frame(Kind.RETURN, "return", value, "from")
        self._stage.stacks[self._who].pop()

    def _tail(self) -> None:
        if self._read.word("fn"):
            callee: Term = Atom("fun")
        else:
            module, function = self._read.function()
            self._read.expect("/")
            callee = (module, function, self._read.number())
        self._in_frame(Kind.TAIL, "tail", None, "from", callee=callee)
        self._stage.stacks[self._who].pop()

    def _bind(self) -> None:
        names: list[str] = []
        values: list[Term] = []
        while not names or self._read.word(","):
            names.append(self._read.name())
            self._read.expect("=")
            values.append(self._read.value())
        self._in_frame(Kind.BIND, "bind", tuple(values), "in", vars=names)

    def _caught(self) -> None:
        class_, reason, stack = self._thrown()
        self._in_frame(Kind.CAUGHT, "catch", (class_, reason, stack), "in")

    def _raise(self, by: str = "error", arity: int = 1) -> None:
        class_, reason, _ = self._thrown()
        callee = (Atom("erlang"), Atom(by), arity)
        self._in_frame(Kind.RAISE, "raise", (class_, reason), "in", callee=callee)

    def _thrown(self) -> tuple[Term, Term, Term]:
        class_ = self._read.value()
        self._read.expect(",")
        reason = self._read.value()
        return class_, reason, self._read.value() if self._read.word(",") else []

    def _in_frame(self, kind: Kind, site: str, value: Term, preposition: str, **about: Any) -> None:
        frame = self._stage.open_frame(self._who, self._read.name() if self._read.word(preposition) else None)
        about |= self._place()
        number = self._stage.site(site, frame.module, frame.function, frame.arity, **about)
        self._stage.emit(kind, self._who, value, frame=frame.id, site=number, flags=self._flags())

    def _state(self) -> None:
        if self._read.word("unchanged"):
            value, flags, after = None, int(Flag.UNCHANGED), 1
        else:
            after = 0 if self._read.word("before") else 1
            value, flags = self._read.value(), 0
        flags |= self._flags()
        stack = self._stage.stacks.get(self._who)
        frame = stack[-1].id if stack else 0
        self._stage.emit(Kind.STATE, self._who, value, frame=frame, flags=flags, aux=after)

    # Lives

    def _spawns(self) -> None:
        self._born(proc_lib=False)

    def _starts(self) -> None:
        child = self._born(proc_lib=True)
        self._stage.emit(Kind.LINK, self._who, peer=child)
        self._stage.emit(Kind.GETTING_LINKED, child, peer=self._who)

    def _born(self, proc_lib: bool) -> str:
        read, stage = self._read, self._stage
        child = read.name()
        stage.pid(child)
        stage.stacks.pop(child, None)
        called: Term = (Atom("erlang"), Atom("apply"), 2)
        if read.word("supervising"):
            called = (Atom("supervisor"), read.module(), 1)
        elif read.word("running"):
            called = self._entry()
        name = read.module() if read.word("as") else None
        about: dict[Term, Term] = {Atom("mfa"): called}
        if proc_lib:
            parent: Term = stage.registered.get(self._who, stage.pid(self._who))
            ancestors = [parent, *stage.ancestry.get(self._who, [])]
            stage.ancestry[child] = ancestors
            about = {Atom("mfa"): (Atom("proc_lib"), Atom("init_p"), 5), Atom("initial"): called}
            about[Atom("ancestors")] = ancestors
        if name is not None:
            about[Atom("name")] = name
            stage.registered[child] = name
        flags = self._flags()
        stage.emit(Kind.SPAWN, self._who, about, peer=child, flags=flags)
        stage.emit(Kind.SPAWNED, child, about, peer=self._who, flags=flags)
        return child

    def _entry(self) -> Term:
        try:
            module, function = self._read.function()
        except PictureError:
            return self._read.module(), Atom("init"), 1
        self._read.expect("/")
        return module, function, self._read.number()

    def _exits(self) -> None:
        self._emit(Kind.EXIT, self._read.value())
        self._stage.stacks.pop(self._who, None)

    def _links(self) -> None:
        self._pair(Kind.LINK, Kind.GETTING_LINKED)

    def _unlinks(self) -> None:
        self._pair(Kind.UNLINK, Kind.GETTING_UNLINKED)

    def _pair(self, mine: Kind, theirs: Kind) -> None:
        other = self._read.name()
        self._emit(mine, peer=other)
        self._stage.emit(theirs, other, peer=self._who)

    # The rest

    def _test(self) -> None:
        name = Atom(f"test {self._read.string()}")
        self._read.expect("of")
        about: dict[Term, Term] = {Atom("module"): self._read.module(), Atom("name"): name}
        if self._read.word("starts"):
            place = self._place()
            about |= {Atom("file"): (place.get("file") or "test.exs").encode(), Atom("line"): place.get("line") or 1}
            self._emit(Kind.TEST_START, about)
            return
        about |= {Atom("result"): Atom(self._read.name()), Atom("time_us"): 1}
        if not self._read.done():
            about[Atom("message")] = self._read.value()
        self._emit(Kind.TEST_END, about)

    def _registers(self) -> None:
        self._emit(Kind.REGISTER, self._read.value())

    def _unregisters(self) -> None:
        self._emit(Kind.UNREGISTER, self._read.value())

    def _marks(self) -> None:
        self._emit(Kind.MARK, self._read.value())

    def _loses(self) -> None:
        self._stage.lose(self._who, self._read.number())

    def _scheduled(self) -> None:
        self._emit(Kind.SCHEDULED_IN if self._read.word("in") else Kind.SCHEDULED_OUT)
        self._read.word("out")

    def _emit(self, kind: Kind, value: Term = None, **fields: Any) -> None:
        self._stage.emit(kind, self._who, value, flags=self._flags(), **fields)

    def _flags(self) -> int:
        flags = 0
        for flag in (Flag.TRUNCATED, Flag.REDACTED, Flag.GENERATED, Flag.DISCONTINUITY):
            if self._read.word((flag.name or "").lower()):
                flags |= flag
        return flags

    def _place(self) -> dict[str, Any]:
        if not self._read.word("@"):
            return {}
        match = self._read.pattern(_PLACE, "a place such as lib/seats.ex:12 or :12")
        return {"line": int(match.group(2))} | ({"file": match.group(1)} if match.group(1) else {})

    def _duration(self) -> int:
        match = self._read.pattern(_DURATION, "a time such as 12 or 3ms")
        return round(float(match.group(1)) * _UNITS[match.group(2)])


_STATEMENTS: dict[str, Callable[[_Player], None]] = {
    "call": lambda player: player._called("function"),
    "callback": lambda player: player._called("callback"),
    "fn": lambda player: player._called("fn"),
    "external": _Player._external,
    "runs": _Player._runs,
    "return": _Player._return,
    "tail": _Player._tail,
    "bind": _Player._bind,
    "caught": _Player._caught,
    "raise": _Player._raise,
    "reraise": lambda player: player._raise("raise", 3),
    "state": _Player._state,
    "spawns": _Player._spawns,
    "starts": _Player._starts,
    "exits": _Player._exits,
    "links": _Player._links,
    "unlinks": _Player._unlinks,
    "registers": _Player._registers,
    "unregisters": _Player._unregisters,
    "receives": _Player._receives,
    "sends": _Player._sends,
    "test": _Player._test,
    "mark": _Player._marks,
    "loses": _Player._loses,
    "scheduled": _Player._scheduled,
}
