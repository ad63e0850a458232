"""Which Elixir is there: found once, remembered, and refused with a next step when it will not do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elixirscope.capture.toolchain import find_toolchain, install_hint
from elixirscope.errors import TargetError


class Machine:
    """A PATH of its own with an `elixir` that says `answer` and counts how often it was asked."""

    def __init__(self, root: Path, folder: str = "bin") -> None:
        self.bin = root / folder
        self.bin.mkdir(parents=True)
        self.asked = root / "asked"
        self.script("erl", "exit 0")

    def script(self, name: str, text: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        os.utime(file, ns=(0, file.stat().st_mtime_ns + len(text)))

    def elixir(self, version: str, otp: str) -> None:
        answer = f"echo 'Erlang/OTP {otp} [erts-1]'; echo; echo 'Elixir {version} (compiled with Erlang/OTP 25)'"
        self.script("elixir", f"echo x >> {self.asked}; {answer}")

    @property
    def times_asked(self) -> int:
        return len(self.asked.read_text().split()) if self.asked.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(found.bin))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def test_versions_are_read_once_and_again_when_elixir_changes(machine: Machine) -> None:
    machine.elixir("1.17.3", "27")
    first = find_toolchain()
    assert (first.elixir_version, first.otp_release) == ("1.17.3", "27")
    assert find_toolchain() == first
    assert machine.times_asked == 1
    machine.elixir("1.18.0-rc.0", "27")
    assert find_toolchain().elixir_version == "1.18.0-rc.0"
    assert machine.times_asked == 2


def test_shims_are_asked_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, "shims")  # their answer depends on the folder they run in
    monkeypatch.setenv("PATH", str(machine.bin))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    machine.elixir("1.16.0", "26")
    find_toolchain()
    find_toolchain()
    assert machine.times_asked == 2


def test_a_cache_that_cannot_be_used_costs_nothing_but_time(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    machine.elixir("1.14.0", "25")
    assert find_toolchain().elixir_version == "1.14.0"


def test_no_elixir(machine: Machine) -> None:
    with pytest.raises(TargetError, match="Elixir is not installed here") as caught:
        find_toolchain()
    assert caught.value.hint == install_hint()
    assert caught.value.hint.startswith("install it with: ")


@pytest.mark.parametrize(
    ("version", "otp", "message"),
    [("1.13.4", "25", r"Elixir 1\.13\.4, which is too old"), ("1.14.0", "24", "OTP 24, which is too old")],
)
def test_too_old(machine: Machine, version: str, otp: str, message: str) -> None:
    machine.elixir(version, otp)
    with pytest.raises(TargetError, match=message):
        find_toolchain()


def test_an_elixir_that_does_not_run(machine: Machine) -> None:
    machine.script("elixir", "echo 'erl: not found' >&2; exit 127")
    with pytest.raises(TargetError, match="it said: erl: not found"):
        find_toolchain()
