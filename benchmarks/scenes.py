"""What happens over and over in a generated recording: scenes between one client and one server, as templates.

A scene is a list of steps in order of time; a value is a template of External Term Format in which 32-bit numbers are
filled in. Both are small and fixed, so a million scenes are made by NumPy without a loop over events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from elixirscope.recording import etf
from elixirscope.recording.format import Kind
from elixirscope.recording.terms import Atom, ImproperList, Pid, Ref, Term

NODE: Final = "shop@localhost"
CLIENT, SERVER = 0, 1

# Numbers that stand in a template for what differs from scene to scene; each is 4 bytes in the external format.
FIELDS: Final = {name: 0x7A000001 + 0x01010101 * n for n, name in enumerate(("seat", "who", "scene", "turn", "client"))}


class Step(NamedTuple):
    """One event: who, what, where, in the frame that the step `frame` of the scene opened (-1 none), showing what."""

    who: int
    kind: Kind
    site: int = 0
    frame: int = -1
    value: str | None = None
    message: int = 0  # SEND and RECEIVE: its number within the scene


@dataclass(frozen=True)
class Template:
    """Encoded bytes, and where in them the 4 bytes of each field are."""

    data: bytes
    places: tuple[tuple[str, int], ...]


def template(term: Term) -> Template:
    """The encoded term; a field's stand-in may occur any number of times."""
    data, places = etf.encode(term), []
    for name, number in FIELDS.items():
        wanted, at = number.to_bytes(4, "big"), 0
        while (at := data.find(wanted, at)) >= 0:
            places.append((name, at))
            at += 4
    return Template(data, tuple(places))


def _terms(state_bytes: int) -> dict[str, Any]:
    seat, who, turn = FIELDS["seat"], FIELDS["who"], FIELDS["turn"]
    ref = Ref(NODE, (FIELDS["scene"], turn, 7), 3)
    caller = (Pid(NODE, FIELDS["client"], 0, 3), ImproperList([Atom("alias")], ref))
    request = (Atom("reserve"), seat, who)
    receipt = (Atom("sold"), seat, {Atom("who"): who, Atom("price"): 4200})
    free = [(Atom("seat"), number, b"row %04d" % number) for number in range(max(1, (state_bytes - 90) // 23))]
    state = {Atom("turn"): turn, Atom("scene"): FIELDS["scene"], Atom("free"): free, Atom("sold"): {seat: who}}
    return {
        "buy": (seat, who),
        "seat": (seat,),
        "request": (Atom("$gen_call"), caller, request),
        "handled": (request, caller),
        "asked": (Atom("Elixir.Shop.Seats"), request),
        "reply": (ImproperList([Atom("alias")], ref), receipt),
        "answer": (Atom("reply"), receipt, Atom("state")),
        "receipt": receipt,
        "bound": (receipt,),
        "price": 4200,
        "ok": Atom("ok"),
        "true": Atom("true"),
        "cast": (Atom("$gen_cast"), (Atom("sold"), seat)),
        "told": ((Atom("sold"), seat),),
        "info": (Atom("tick"), 5),
        "ticked": ((Atom("tick"), 5),),
        "noreply": (Atom("noreply"), Atom("state")),
        "state": state,
        "refused": (Atom("error"), {Atom("__struct__"): Atom("Elixir.ArgumentError"), Atom("message"): b"no seat"}),
        "caught": (Atom("error"), Atom("badarg"), []),
    }


def templates(state_bytes: int) -> dict[str, Template]:
    """All values by name. `state_bytes`: about how large a state is."""
    return {name: template(term) for name, term in _terms(state_bytes).items()}


class Code(NamedTuple):
    """A site as docs/format.md describes it."""

    module: str
    kind: str
    function: str
    arity: int
    line: int
    vars: tuple[str, ...] = ()
    detail: tuple[tuple[str, Any], ...] = ()


def _callback(name: str, arity: int) -> tuple[tuple[str, Any], ...]:
    server = Atom("Elixir.GenServer")
    return (("behaviour", server), ("callback", Atom(name)), ("state_arg", arity))


_TO_FORMAT = (Atom("Elixir.Shop.Client"), Atom("format"), 1)
SITES: Final[dict[int, Code]] = {
    1: Code("Client", "function", "buy", 2, 5, ("seat", "who")),
    2: Code("Client", "bind", "buy", 2, 6, ("seat", "who")),
    3: Code("Client", "function", "check", 1, 12, ("seat",)),
    4: Code("Client", "function", "valid?", 1, 17, ("seat",)),
    5: Code("Client", "return", "valid?", 1, 18),
    6: Code("Client", "return", "check", 1, 14),
    7: Code("Client", "external", "buy", 2, 7, (), (("callee", (Atom("Elixir.GenServer"), Atom("call"), 2)),)),
    8: Code("Client", "bind", "buy", 2, 7, ("receipt",)),
    9: Code("Client", "function", "log", 1, 22, ("receipt",)),
    10: Code("Client", "tail", "log", 1, 23, (), (("callee", _TO_FORMAT),)),
    11: Code("Client", "function", "format", 1, 27, ("receipt",)),
    12: Code("Client", "return", "format", 1, 28),
    13: Code("Client", "return", "buy", 2, 9),
    14: Code("Client", "raise", "valid?", 1, 19, (), (("callee", (Atom("erlang"), Atom("error"), 1)),)),
    15: Code("Client", "catch", "buy", 2, 8),
    20: Code("Seats", "function", "handle_call", 3, 10, (), _callback("handle_call", 3)),
    21: Code("Seats", "bind", "handle_call", 3, 10, ("seat", "who")),
    22: Code("Seats", "return", "handle_call", 3, 14),
    23: Code("Seats", "function", "handle_cast", 2, 20, (), _callback("handle_cast", 2)),
    24: Code("Seats", "return", "handle_cast", 2, 22),
    25: Code("Seats", "function", "handle_info", 2, 26, (), _callback("handle_info", 2)),
    26: Code("Seats", "return", "handle_info", 2, 28),
    30: Code("Ledger", "function", "enter", 2, 4, ("seat", "who")),
    31: Code("Ledger", "function", "price", 1, 9, ("seat",)),
    32: Code("Ledger", "return", "price", 1, 10),
    33: Code("Ledger", "bind", "enter", 2, 5, ("receipt",)),
    34: Code("Ledger", "return", "enter", 2, 6),
}

_C, _S = CLIENT, SERVER
_SERVED: Final = [
    Step(_S, Kind.RECEIVE, value="request", message=1),
    Step(_S, Kind.CALL, 20, value="handled"),  # 8 of the scene
    Step(_S, Kind.BIND, 21, 8, "buy"),
    Step(_S, Kind.CALL, 30, value="buy"),  # 10
    Step(_S, Kind.CALL, 31, value="seat"),  # 11
    Step(_S, Kind.RETURN, 32, 11, "price"),
    Step(_S, Kind.BIND, 33, 10, "bound"),
    Step(_S, Kind.RETURN, 34, 10, "receipt"),
    Step(_S, Kind.STATE, 20, 8, "state"),
    Step(_S, Kind.RETURN, 22, 8, "answer"),
    Step(_S, Kind.SEND, value="reply", message=2),
    Step(_C, Kind.RECEIVE, value="reply", message=2),
]
_TOLD: Final = [
    Step(_C, Kind.SEND, value="cast", message=3),
    Step(_S, Kind.RECEIVE, value="cast", message=3),
    Step(_S, Kind.CALL, 23, value="told"),  # 28
    Step(_S, Kind.STATE, 23, 28, "state"),
    Step(_S, Kind.RETURN, 24, 28, "noreply"),
    Step(_C, Kind.SEND, value="info", message=4),
    Step(_S, Kind.RECEIVE, value="info", message=4),
    Step(_S, Kind.CALL, 25, value="ticked"),  # 33
    Step(_S, Kind.STATE, 25, 33, "state"),
    Step(_S, Kind.CALL, 30, value="buy"),  # 35
    Step(_S, Kind.RETURN, 34, 35, "receipt"),
    Step(_S, Kind.STATE, 25, 33, "state"),
    Step(_S, Kind.RETURN, 26, 33, "noreply"),
    Step(_C, Kind.RETURN, 13, 0, "receipt"),
]
SALE: Final = [
    Step(_C, Kind.CALL, 1, value="buy"),
    Step(_C, Kind.BIND, 2, 0, "buy"),
    Step(_C, Kind.CALL, 3, value="seat"),  # 2
    Step(_C, Kind.CALL, 4, value="seat"),  # 3
    Step(_C, Kind.RETURN, 5, 3, "true"),
    Step(_C, Kind.CALL, 7, value="asked"),  # 5
    Step(_C, Kind.SEND, value="request", message=1),
    *_SERVED,
    Step(_C, Kind.RETURN, 7, 5, "receipt"),  # 19
    Step(_C, Kind.RETURN, 6, 2, "true"),
    Step(_C, Kind.BIND, 8, 0, "bound"),
    Step(_C, Kind.CALL, 9, value="bound"),  # 22
    Step(_C, Kind.TAIL, 10, 22),
    Step(_C, Kind.CALL, 11, value="bound"),  # 24
    Step(_C, Kind.RETURN, 12, 24, "ok"),
    *_TOLD,
]
REFUSED: Final = [
    *SALE[:1],
    Step(_C, Kind.CALL, 3, value="seat"),  # 1
    Step(_C, Kind.CALL, 4, value="seat"),  # 2
    Step(_C, Kind.RAISE, 14, 2, "refused"),
    Step(_C, Kind.CAUGHT, 15, 0, "caught"),
    *SALE[5:20],
    Step(_C, Kind.BIND, 2, 0, "buy"),
    *SALE[21:],
]
assert len(SALE) == len(REFUSED) == 40
