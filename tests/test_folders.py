"""Where what belongs to a user is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elixirscope.errors import EnvironmentProblem
from elixirscope.folders import user_folder


def test_the_variable_counts_then_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jo")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert user_folder("XDG_STATE_HOME") == Path("/state/elixirscope")
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")  # the rules say to ignore such
    assert user_folder("XDG_STATE_HOME") == Path("/home/jo/.local/state/elixirscope")


def test_a_user_that_the_system_does_not_know_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a container that runs as any user.
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    with pytest.raises(EnvironmentProblem, match="user 3999999999 has no home folder") as raised:
        user_folder("XDG_CACHE_HOME")
    assert raised.value.hint == "set XDG_CACHE_HOME to a folder that can be written"
