"""What every view shows at one moment: the answer of `Dags.frame_at`."""

from __future__ import annotations

import msgspec

from elixirscope.dags.base import Step
from elixirscope.dags.code import FrameRow
from elixirscope.dags.interaction import Graph
from elixirscope.dags.performance import Spent
from elixirscope.dags.state import StateView
from elixirscope.moment import Moment
from elixirscope.query.labels import EventRow
from elixirscope.query.sources import SourceView
from elixirscope.query.values import Value


class Binding(msgspec.Struct, frozen=True):
    """A variable of the innermost frame as known at the moment."""

    name: str
    value: Value
    at: int
    event: int
    line: int | None
    previous: Value | None


class Waiting(msgspec.Struct, frozen=True):
    """A message received and not yet handled."""

    message: int
    sender: int | None = msgspec.field(name="from")
    tag: str | None
    sent_at: int | None
    received_at: int
    waiting_ns: int


class Gap(msgspec.Struct, frozen=True):
    """Something that was not recorded, and why."""

    subject: str
    reason: str


class Picture(msgspec.Struct, frozen=True):
    """The synchronised picture. `event` is the last event of the process (or of all) at or before the moment.

    `stack` and `mailbox` hold what a person looks at, the innermost frames and the messages that have waited longest;
    `deeper` says whether there are more frames, `waiting` how many messages there are.
    """

    moment: Moment
    event: EventRow | None
    stack: list[FrameRow]
    bindings: list[Binding]
    source: SourceView | None
    state: StateView | None
    beside: StateView | None  # where the process keeps no state: of the server that it deals with
    mailbox: list[Waiting]
    deeper: bool
    waiting: int
    graph: Graph | None  # None where it was not asked for
    causes: list[Step]
    performance: Spent | None
    coverage: list[Gap]
