"""`elixirscope record -- COMMAND…`: run any command that starts a BEAM, recorded."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from elixirscope.brain.levels import INTENTS, PRESETS
from elixirscope.cli.beside import Beside
from elixirscope.cli.output import progress, size
from elixirscope.errors import ElixirScopeError

if TYPE_CHECKING:
    from elixirscope.brain.levels import Intent
    from elixirscope.brain.plan import Plan
    from elixirscope.capture.native import Engine
    from elixirscope.capture.recorder import Outcome


@click.command(
    context_settings={"allow_interspersed_args": False},  # options after COMMAND's first word are its own
    epilog="\b\nIntents:\n" + "\n".join(f"  {name:<12} {PRESETS[name].about}" for name in INTENTS),
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="REC", help="Folder of the recording.")
@click.option("--intent", type=click.Choice(INTENTS), help="What the recording is for.  [default: debug]")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path), metavar="FILE", help="A plan of yours.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "native", "portable"]),
    default="auto",
    show_default=True,
    help="How events leave the program: natively where there is a C compiler.",
)
@click.option("--open", "opened", is_flag=True, help="Open the Cinema at once, and watch the program live.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write what `info --json` says to FILE (stdout is the command's own).",
)
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND…", required=True)
@click.pass_context
def command(
    context: click.Context,
    output: Path | None,
    intent: Intent | None,
    plan_file: Path | None,
    engine: Engine,
    opened: bool,
    json_file: Path | None,
    command_line: tuple[str, ...],
) -> None:
    """Run COMMAND and record every Erlang VM it starts: mix test, iex -S mix, a script, a release's bin/app start, …

    Its input, output, signals and exit status are its own, and nothing is written into its project.
    The last line on stderr says what was recorded and where.
    """
    from elixirscope.capture.recorder import record

    if intent and plan_file:
        raise click.UsageError("--intent and --plan exclude each other: a plan has an intent of its own")
    plan = _plan(intent, plan_file)
    with _cinema(opened) as start, Beside() as beside:

        def begun(path: Path) -> None:
            start(path)
            beside.watch(path)

        def ended(outcome: Outcome) -> None:
            _tell(outcome, plan)
            with progress("elixirscope: sealing the recording") as tell:
                beside.finish(tell)
            if beside.stopped:
                _say("stopped sealing the recording: whoever opens it first does that")

        outcome = record(command_line, plan, output, announce=_say, engine=engine, begun=begun, ended=ended)
        if json_file:
            _write_json(outcome.path, json_file)
    context.exit(outcome.exit_status)


@contextmanager
def _cinema(wanted: bool) -> Iterator[Callable[[Path], None]]:
    """What opens the Cinema on a recording as soon as it has begun; it stays until Ctrl-C when all else is done.

    A process of its own, in a session of its own: what reads the recording must not wait for, or be waited for by what
    makes it, and Ctrl-C is the command's.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(path: Path) -> None:
        command = [sys.executable, "-m", "elixirscope.cli.main", "open", "--attached", str(path)]
        running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sys.stderr, start_new_session=True))

    try:
        yield start if wanted else lambda _path: None
        for cinema in running:
            if cinema.poll() is None:
                _say("the Cinema stays open; Ctrl-C ends it")
            with suppress(KeyboardInterrupt):
                cinema.wait()
    finally:
        for cinema in running:
            if cinema.stdin is not None:
                cinema.stdin.close()
            cinema.wait()


def _plan(intent: Intent | None, plan_file: Path | None) -> Plan:
    from elixirscope.brain.orchestrator import plan_for
    from elixirscope.brain.plan import Plan

    return Plan.load(plan_file) if plan_file else plan_for(Path.cwd(), intent or "debug")


def _tell(outcome: Outcome, plan: Plan) -> None:
    """Say what was recorded."""
    if outcome.problem:
        _say(f"{outcome.problem}; everything written until then is in {outcome.path}")
    if not _is_anything_in(outcome.path):
        _say(
            "nothing was recorded: the command started no Erlang VM that could load the agent"
            " (it may start none, run it in a container, or reset ERL_AFLAGS)"
        )
        return
    with _only_told(outcome.path):
        from elixirscope.recording.tally import tally
        from elixirscope.recording.told import read_all

        held = tally(outcome.told or read_all(outcome.path / "raw"))
        if not held.instrumented and plan.default != "off":
            _say(
                "no module was instrumented, so there are no calls and values: `elixirscope info` says what is missing"
            )
        for pid in outcome.running:
            so_far = f"what it has done so far: elixirscope open {_called(outcome.path)}"
            _say(f"the VM {pid} runs on, and is recorded until it ends; {so_far}")
        if outcome.exit_status:
            _say(f"the command failed; to see why: elixirscope report {_called(outcome.path)}")
        processes = "" if held.processes is None else f" · {held.processes:,} processes"
        lost = f"{held.lost:,} lost" + ("" if held.complete and not outcome.problem else " · incomplete")
        _say(f"{held.events:,} events{processes} · {lost} · {size(held.bytes)} · {outcome.path}")


def _is_anything_in(path: Path) -> bool:
    return any((path / "raw").glob("*.frames"))


def _write_json(path: Path, json_file: Path) -> None:
    """Write what `info --json` says, which is to seal the recording."""
    if not _is_anything_in(path):
        return
    with _only_told(path):
        from elixirscope.correlate.correlator import EventCorrelator
        from elixirscope.recording.recording import Recording

        with progress("elixirscope: reading the recording") as tell:
            info = Recording.open(path, correlate=EventCorrelator.on_all_cores, progress=tell).info
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(info, enc_hook=str), indent=2) + b"\n")


@contextmanager
def _only_told(path: Path) -> Iterator[None]:
    """The command has run: whatever fails afterwards is only told, for its exit status is the command's."""
    try:
        yield
    except (ElixirScopeError, OSError) as error:
        _say(f"{error}\n  the recording is kept in {path}")
    except KeyboardInterrupt:
        _say(f"stopped; the recording is kept in {path}")
    except Exception as error:  # noqa: BLE001 - our bug must not become the recorded command's exit status
        _say(f"internal error: {type(error).__name__}: {error}\n  the recording is kept in {path}")


def _called(path: Path) -> str:
    """How a person names the recording that was just made."""
    from elixirscope.capture.recorder import default_home

    return "last" if path.parent == default_home() else shlex.quote(str(path))


def _say(text: str) -> None:
    click.echo(f"elixirscope: {text}", err=True)
