"""The `elixirscope` command: a group whose subcommands are imported only when they are run."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from elixirscope import __version__
from elixirscope.errors import ElixirScopeError, UsageError

COMMANDS = {
    "record": "Run any command that starts a BEAM, recorded.",
    "open": "Open the Cinema on a recording in the browser.",
    "report": "Tell what went wrong, with the guilty line and the evidence.",
    "info": "Say what a recording holds and what it does not.",
    "processes": "List the processes, as their supervision tree.",
    "search": "Find values by Elixir pattern, or names and texts.",
    "query": "Ask a recording in SQL.",
    "state": "Show the state of a process at a time.",
    "why": "Show the backward chain of causes of an event.",
    "pack": "Write a recording into one file, to keep or to send.",
    "unpack": "Make a folder of a packed recording again.",
    "prune": "Make room: remove recordings, or keep what is around their findings.",
    "analyze": "Read a project: behaviours, supervision, message flows.",
    "plan": "Write the plan that says what to record.",
}

EXIT_CODES = """
\b
REC is the path of a recording, or `last`: the newest one made without -o.
Exit codes: 0 done · 1 unexpected failure · 2 wrong usage · 3 no such process,
event or time · 4 recording missing or unreadable · 5 wrong or refused SQL ·
6 target program or Elixir unusable · 7 this machine refuses (port, disk).
`record` exits with the recorded command's own status.
"""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"elixirscope.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # as all that only mistakes need: commands start sooner without

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `elixirscope {near[0]}`?" if near else "`elixirscope --help` lists them"
            raise UsageError(f"there is no command {args[0][:80]!r}", hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # from the table: `--help` imports nothing
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="elixirscope")
def cli() -> None:
    """Record a running Elixir application, scrub through it like film, ask why."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every failure becomes one clear message and an exit code, never a traceback."""
    try:
        status = cli.main(args=arguments, prog_name="elixirscope", standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ElixirScopeError as error:
        click.echo(f"elixirscope: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has gone: say nothing, and keep Python from flushing into the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the last line of defence: report, never swallow
        _report_bug(error)
        sys.exit(1)


def _report_bug(error: Exception) -> None:
    import tempfile
    import traceback

    if os.environ.get("ELIXIRSCOPE_DEBUG"):
        traceback.print_exception(error)
        return
    handle, name = tempfile.mkstemp(prefix="elixirscope-", suffix=".log")
    with os.fdopen(handle, "w") as file:
        traceback.print_exception(error, file=file)
    summary = str(error).splitlines()[0] if str(error) else "no message"
    click.echo(
        f"elixirscope: internal error: {type(error).__name__}: {summary}\n"
        f"  → the details are in {Path(name)}; please report them",
        err=True,
    )


if __name__ == "__main__":
    main()
