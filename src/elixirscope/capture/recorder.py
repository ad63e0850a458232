"""One recording from start to finish: its folder, the plan, the command, and the sources it ran."""

from __future__ import annotations

import itertools
import os
import re
import resource
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from elixirscope import __version__
from elixirscope.brain.plan import Plan
from elixirscope.capture.agent import compiled_agent
from elixirscope.capture.launcher import check_command, launch
from elixirscope.capture.native import Engine, choose_library
from elixirscope.capture.release import build_folders, find_release, runs_on, toolchain_of, write_boot_script
from elixirscope.capture.stale import sweep
from elixirscope.capture.toolchain import find_toolchain
from elixirscope.errors import EnvironmentProblem, RecordingError, UsageError
from elixirscope.folders import user_folder
from elixirscope.recording.manifest import Manifest
from elixirscope.recording.presence import recorder_of
from elixirscope.recording.version import FORMAT_VERSION

if TYPE_CHECKING:
    from elixirscope.recording.told import Told

_PRIVATE = 0o700  # a recording holds what the program held: data of its users, perhaps
_VM_STARTS_S = 30.0
_LEAST_FREE_BYTES = 16 * 1024 * 1024


class Outcome(msgspec.Struct, frozen=True):
    """What became of the command: its recording's folder, its exit status, and what could not be kept.

    `running` are the VMs (by their process of the operating system) that it has left running, recorded until they end.
    `told` is what the raw files say.
    """

    path: Path
    exit_status: int
    problem: str | None = None
    running: tuple[int, ...] = ()
    told: Sequence[Told] = ()


def record(
    command: Sequence[str],
    plan: Plan,
    output: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
    engine: Engine = "auto",
    begun: Callable[[Path], None] = lambda _: None,
    ended: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Run `command` recorded under `plan` into the folder `output` (by default a new one of ours).

    `engine` says how events leave the program: see `native.choose_library`. `begun` is told the folder when it is
    there, before the command starts; `ended` the outcome, when nothing more comes into the recording, while others
    still take it for being recorded.

    Everything that can be wrong is found before the command starts and raised as `TargetError`,
    `UsageError` or `EnvironmentProblem`. Once it has started, its exit status is returned whatever
    happens to the recording: the raw files are the truth and are complete without our help.
    """
    release = find_release(command, announce)
    toolchain = toolchain_of(release) if release else find_toolchain()
    check_command(command)
    ebin = compiled_agent(toolchain, announce)
    # Loading a library is quick, but takes longer than all it could save where few events are recorded.
    library = choose_library("portable" if engine == "auto" and plan.lives_only else engine, toolchain, announce)
    if library:
        sweep(announce)
    variables = {"ELIXIRSCOPE_BUILDS": "\n".join(map(str, build_folders(command, release, toolchain)))}
    path = _make_folder(output)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        elixirscope_version=__version__,
        command=list(command),
        cwd=str(Path.cwd()),
        created_unix_ns=time.time_ns(),
        exit_status=None,
        state="recording",
    )
    try:
        plan.dump(path / "plan.toml")
        (path / "plan.terms").write_text(plan.terms(), encoding="utf-8")
        manifest.save(path)
        if release:
            variables |= write_boot_script(release, path / "boot")
    except OSError as error:
        raise _unwritable(path, error) from error
    with recorder_of(path / "raw"):
        begun(path)
        try:
            status = launch(command, ebin=ebin, recording=path, library=library, variables=variables)
        except BaseException:
            if not any((path / "raw").iterdir()):
                shutil.rmtree(path, ignore_errors=True)  # nothing ran, so nothing is lost
            raise
        if release and status == 0 and runs_on(command):
            _wait_for_vm(path / "raw")
        manifest = msgspec.structs.replace(manifest, exit_status=status)
        try:
            told = _collect(path)
            msgspec.structs.replace(manifest, state="finished").save(path)
            outcome = Outcome(path, status, running=_running(path / "raw"), told=told)
        except KeyboardInterrupt:
            manifest.save(path)
            outcome = Outcome(path, status, "stopped before all source files were kept")
        except Exception as error:  # noqa: BLE001 - told, but never instead of the command's own exit status
            outcome = Outcome(path, status, f"the recording could not be finished: {error}")
        ended(outcome)
    return outcome


def _wait_for_vm(raw: Path) -> None:
    """Return when a VM that was started in the background is being recorded, or takes longer than it should."""
    until = time.monotonic() + _VM_STARTS_S
    while time.monotonic() < until and not any(b"armed" in meta.read_bytes() for meta in raw.glob("*-meta.frames")):
        time.sleep(0.05)


def _running(raw: Path) -> tuple[int, ...]:
    """The VMs among those that write to `raw` whose process still is there."""
    names = (re.search(r"\.(\d+)(?:\+\d+)?-meta$", file.stem) for file in raw.glob("*-meta.frames"))
    return tuple(sorted({pid for name in names if name and _lives(pid := int(name[1]))}))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True


def _collect(path: Path) -> list[Told]:
    """Bring into the recording what is still outside, and say what its raw files tell."""
    # Loaded when the command has ended: it need not wait for them.
    from elixirscope.capture.rings import recover
    from elixirscope.recording.sources import copy_sources, files_of
    from elixirscope.recording.told import read_all

    recover(path / "raw")
    told = read_all(path / "raw")
    copy_sources(path, {source for file in told for source in files_of(file.modules)})
    return told


def default_home() -> Path:
    """Where recordings go when nobody says: `$XDG_DATA_HOME/elixirscope/recordings`."""
    return user_folder("XDG_DATA_HOME") / "recordings"


def newest() -> Path:
    """The recording that was begun last of those in `default_home`. Raises `RecordingError` when there is none."""
    home = default_home()
    begun = [
        (found[1], int(found[2] or 1), path)
        for path in home.glob("*.scope")
        if (found := re.fullmatch(r".*-(\d{8}-\d{6})(?:-(\d+))?", path.stem))
    ]
    if not begun:
        raise RecordingError(f"there is no last recording in {home}", "make one: elixirscope record -- mix test")
    return max(begun)[2]


def default_folder(cwd: Path, now: float) -> Path:
    """A recording's path when nobody says: `PROJECT-TIME.scope` in `default_home`."""
    project = re.sub(r"[^\w.-]+", "-", cwd.name).strip("-.") or "recording"
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return default_home() / f"{project}-{stamp}.scope"


def _make_folder(output: Path | None) -> Path:
    path = default_folder(Path.cwd(), time.time()) if output is None else Path.cwd() / output
    try:
        path = _new_folder(path) if output is None else _empty_folder(path)
        (path / "raw").mkdir()
        free = shutil.disk_usage(path).free
    except OSError as error:
        raise _unwritable(path, error) from error
    problem = _no_room(path, free)
    if problem:
        shutil.rmtree(path, ignore_errors=True)
        raise problem
    return path


def _no_room(path: Path, free: int) -> EnvironmentProblem | None:
    largest, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if free < _LEAST_FREE_BYTES:
        return EnvironmentProblem(
            f"the disk of {path} is full: {free // 1024:,} kB are free",
            "free some space, or record to another disk with -o",
        )
    if largest != resource.RLIM_INFINITY and largest < free:  # else the disk is full before
        return EnvironmentProblem(
            f"files may have {largest // 1024:,} kB here (ulimit -f), and the system ends a program that writes more:"
            " a recording may have more",
            "lift the limit in this shell: ulimit -f unlimited",
        )
    return None


def _new_folder(wanted: Path) -> Path:
    """A folder nobody else has, with a number when two recordings start within one second."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for count in itertools.count(1):
        path = wanted if count == 1 else wanted.with_stem(f"{wanted.stem}-{count}")
        try:
            path.mkdir(mode=_PRIVATE)
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


def _empty_folder(path: Path) -> Path:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "already holds a recording" if (path / "manifest.json").exists() else "is not an empty folder"
        remove = f"rm -r {shlex.quote(str(path))}"
        raise UsageError(f"{path} {what}", f"choose another with -o, or remove it first: {remove}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_PRIVATE, exist_ok=True)
    return path


def _unwritable(path: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot write the recording {path}: {error.strerror or error}",
        "record to a folder that can be written, with -o",
    )
