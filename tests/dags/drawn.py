"""Opens drawn situations as real recordings, and names their events."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from elixirscope.correlate.correlator import EventCorrelator
from elixirscope.dags import Dags
from elixirscope.pictures import record
from elixirscope.query.coordinator import QueryCoordinator
from elixirscope.recording.format import Kind
from elixirscope.recording.recording import Recording

SALE = """
    processes: top, seats, client, rival
      1 top spawns seats running TicketOffice.Seats.init/1
      2 seats registers TicketOffice.Seats
      3 seats callback TicketOffice.Seats.init([]) @ lib/seats.ex:5
      4 seats state %{free: ["A1", "A2"], sold: %{}}
      5 seats return {:ok, %{free: ["A1", "A2"], sold: %{}}} @ :6
     10 client call TicketOffice.Client.buy("A1", :ann) @ lib/client.ex:10
     11 client bind seat = "A1" @ :11
     12 client -> seats call {:reserve, "A1", :ann} as buy arrives 14
     13 rival call TicketOffice.Client.look() @ lib/client.ex:30
     16 seats callback TicketOffice.Seats.handle_call({:reserve, "A1", :ann}, {client, #buy}) @ lib/seats.ex:20
     17 seats state before %{free: ["A1", "A2"], sold: %{}}
     18 seats bind who = :ann, seat = "A1" @ :21
     20 seats call TicketOffice.Ledger.enter("A1", :ann) @ lib/ledger.ex:3
     24 seats return {:sold, "A1", 1} @ :4
     25 seats bind receipt = {:sold, "A1", 1} @ :22
     26 seats state %{free: ["A2"], sold: %{"A1" => :ann}}
     27 seats return {:reply, {:sold, "A1", 1}, %{free: ["A2"], sold: %{"A1" => :ann}}} @ :24
     28 seats -> client reply {:sold, "A1", 1} to buy arrives 30
     32 client bind receipt = {:sold, "A1", 1} @ :12
     33 client return {:sold, "A1", 1} @ :13
     34 rival return :ok @ :31
"""
"""One sale: `client` reserves a seat from the server `seats`, while `rival` has nothing to do with either."""


class Drawn(NamedTuple):
    """A drawn recording, open."""

    query: QueryCoordinator
    dags: Dags

    def process(self, name: str) -> int:
        """The process drawn under a name, by the pid that it was given (declared first: 100)."""
        number = 100 + self.names().index(name)
        found = self.query.rows("select process from processes where pid = ?", [f"#PID<0.{number}.0>"])
        return int(found[0]["process"])

    def names(self) -> list[str]:
        """The processes of the picture as declared."""
        text = Path(self.query.recording.path, "picture").read_text("utf-8")
        return [name.strip() for name in text.strip().splitlines()[0].removeprefix("processes:").split(",")]

    def event(self, name: str, kind: Kind, nth: int = 0) -> int:
        """The nth event of a kind of a process."""
        rows = self.query.rows(
            "select event from events where process = ? and kind = ? order by event", [self.process(name), kind.value]
        )
        return int(rows[nth]["event"])


def open_picture(picture: str, folder: Path) -> Drawn:
    """Record a picture into `folder` and open it, correlated for real."""
    record(picture, folder)
    (folder / "picture").write_text(picture, "utf-8")
    query = QueryCoordinator(Recording.open(folder, correlate=EventCorrelator))
    return Drawn(query, Dags(query))
