"""Runs the command to record as if we were not there: same terminal, same signals, same exit status."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType

from elixirscope.errors import TargetError

# Evaluated before the command's own code, but after the applications of a release have started (`release.py`). `-s`
# would end a VM that cannot load the agent (a plain `erl` without Elixir, a cache that was emptied); this lets it run.
# A release loads nothing by itself. The agent's folder is the last on the path: the VM would look there first for every
# module of the program. So the first module of the agent is loaded from where it is.
BOOT = (
    "catch erlang:module_loaded('Elixir.ElixirScope.Boot')"
    ' orelse code:load_abs(os:getenv("ELIXIRSCOPE_AGENT") ++ "/Elixir.ElixirScope.Boot"),'
    " catch 'Elixir.ElixirScope.Boot':start()"
)

# What another process may send us, meaning the command. A terminal sends the first two to the whole
# foreground group, the command included: then we only have to survive them.
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def launch(
    command: Sequence[str],
    *,
    ebin: Path,
    recording: Path,
    library: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run `command` with the agent in every VM it starts; return its exit status as a shell would.

    `recording` is the absolute folder the agent writes to, `library` the native engine, None for the portable one.
    `variables` come into the command's environment, too. A command killed by signal N returns 128 + N.
    Raises `TargetError` when the command cannot be started.
    """
    check_command(command)
    with _signals() as forwarded:
        try:
            # With the files that a shell or a service manager opened for it; Python's own are not passed on.
            child = subprocess.Popen(
                list(command), env={**target_environment(ebin, recording, library), **variables}, close_fds=False
            )
        except OSError as error:
            raise TargetError(
                f"cannot run {command[0]}: {error.strerror or error}", "check that it is a program"
            ) from error
        forwarded.to(child)
        status = forwarded.wait(child)
    return 128 - status if status < 0 else status


def check_command(command: Sequence[str]) -> None:
    """Raise `TargetError` unless `command` names a program that can be run from here."""
    if shutil.which(command[0]) is None:
        raise TargetError(
            f"command not found: {command[0]}",
            "give the command as you would type it: elixirscope record -- mix test",
        )


def target_environment(ebin: Path, recording: Path, library: Path | None = None) -> dict[str, str]:
    """The environment of the command: ours, plus the variables that bring the agent into its VMs."""
    flags = f"-pz {_quoted(str(ebin))} -eval {_quoted(BOOT)}"
    existing = os.environ.get("ERL_AFLAGS", "").strip()
    return {
        **os.environ,
        "ERL_AFLAGS": f"{existing} {flags}" if existing else flags,
        "ELIXIRSCOPE_AGENT": str(ebin),
        "ELIXIRSCOPE_DIR": str(recording),
        "ELIXIRSCOPE_NATIVE": str(library or ""),  # one of a recorder around us is not ours to use
    }


def _quoted(text: str) -> str:
    # Erlang splits ERL_AFLAGS at spaces and takes a backslash as a shell does.
    return re.sub(r"([\s\\'\"#])", r"\\\1", text)


class _Forwarded:
    """Signals on their way to the command. It may run, and be meant by one, before we know who it is.

    `woken`: a descriptor that can be read when a signal has come. Waiting for the child by itself would sleep through
    one that comes between Python's last look for signals and the system call.
    """

    def __init__(self, woken: int) -> None:
        self._woken = woken
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting: list[Callable[[subprocess.Popen[bytes]], None]] = []

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Do with `child` what signals ask, those that came before too; it gets none once it has been waited for."""
        self._child = child
        for action in self._waiting:
            action(child)

    def do(self, action: Callable[[subprocess.Popen[bytes]], None]) -> None:
        """`action` on the command, now or as soon as it is known."""
        if self._child is None:
            self._waiting.append(action)
        else:
            action(self._child)

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """The exit status of `child`, as `Popen` has it, when it has ended; signals are sent on meanwhile."""
        while (status := child.poll()) is None:
            select.select([self._woken], [], [])
            os.read(self._woken, 4096)
        return status


@contextmanager
def _signals() -> Iterator[_Forwarded]:
    """While inside, signals meant for the command reach the process that the yielded object is told of."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    forwarded = _Forwarded(woken)

    def forward(number: int, _frame: FrameType | None) -> None:
        if number not in _FROM_TERMINAL or not _in_foreground():
            forwarded.do(lambda child: child.send_signal(number))

    def stop(child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGSTOP)
        child.send_signal(signal.SIGCONT)

    def suspend(number: int, _frame: FrameType | None) -> None:
        forwarded.do(stop)

    def ended(number: int, _frame: FrameType | None) -> None:
        """A child has: being told is enough."""

    handlers = dict.fromkeys((*_FROM_TERMINAL, *_FORWARDED), forward)
    handlers |= {signal.SIGTSTP: suspend, signal.SIGCHLD: ended}
    before = {}
    told_before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    for number, handler in handlers.items():
        # A signal that is already ignored (nohup, a background job) stays so, for the command too.
        if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    try:
        yield forwarded
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
        signal.set_wakeup_fd(told_before)
        os.close(wakes)
        os.close(woken)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
