"""Parts of pictures that several tests draw: a seat server, its clients, and their requests."""

from __future__ import annotations

from itertools import count

_questions = count()

OPENING = """
processes: main, seats, ada, joe, pricing
main starts seats running Office.Seats.init/1 as Office.Seats
seats callback Office.Seats.init([]) @ lib/seats.ex:20
seats state %{seats: %{"A1" => nil, "A2" => nil}}
seats return {:ok, %{}}
main spawns ada running Office.Client.run/0
main spawns joe running Office.Client.run/0
"""


def plan(**seats: str) -> str:
    """The state of the seat server."""
    holders = {"A1": "nil", "A2": "nil"} | {seat: f'"{who}"' for seat, who in seats.items()}
    inner = ", ".join(f'"{seat}" => {who}' for seat, who in holders.items())
    return f"%{{seats: %{{{inner}}}}}"


def turn(client: str, request: str, answer: str, state: str | None = None) -> str:
    """A request of `client` to `seats`, its handling (with the new state, if it changed), and the answer."""
    after = f"seats state {state}" if state else "seats state unchanged"
    question = f"question_{next(_questions)}"
    return f"""
{client} -> seats call {request} as {question}
seats callback Office.Seats.handle_call({request}, {client}) @ lib/seats.ex:26
{after}
seats return {{:reply, {answer}}}
seats -> {client} reply {answer} to {question}
"""


def sell(client: str, seat: str) -> str:
    """Enters the function that checks and acts."""
    return f'{client} call Office.BoxOffice.sell("{seat}", "{client}") @ lib/box_office.ex:7\n'


def free(client: str, seat: str, answer: str = "true") -> str:
    """The check."""
    return f"""
{client} call Office.Seats.free?("{seat}") @ lib/seats.ex:10
{turn(client, f'{{:free?, "{seat}"}}', answer)}
{client} return {answer}
"""


def put(client: str, seat: str, **after: str) -> str:
    """The act; `after`: who has which seat then."""
    return f"""
{client} call Office.Seats.put("{seat}", "{client}") @ lib/seats.ex:13
{turn(client, f'{{:put, "{seat}", "{client}"}}', ":ok", plan(**after))}
{client} return :ok
{client} return :sold
"""
