"""Processes of a framework that live for a module of the program's: a LiveView's, a channel's.

They run the framework's callbacks (`Phoenix.LiveView.Channel.handle_info/2`), and within these the program's
(`handle_event/3`), which a person takes for the ones that change the state.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Host(NamedTuple):
    """What such a process asks the program's module: a function and its arity first, `callbacks` by name later."""

    first: tuple[str, int]
    callbacks: frozenset[str]


_ALWAYS: Final = ("handle_info", "handle_call", "handle_cast")

# By the module that the process runs.
HOSTS: Final = {
    "Phoenix.LiveView.Channel": Host(
        ("mount", 3), frozenset({"mount", "handle_params", "handle_event", "handle_async", "update", *_ALWAYS})
    ),
    "Phoenix.Channel.Server": Host(("join", 3), frozenset({"join", "handle_in", "handle_out", *_ALWAYS})),
}
