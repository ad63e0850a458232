"""Looks for findings of a large recording in a process of its own: a thread would keep every other answer waiting.

    python -m elixirscope.web.detectives REC.scope

finds them and keeps them beside the recording. It ends when its standard input does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from elixirscope.film import Film
from elixirscope.insight import Finding
from elixirscope.insight.kept import are_kept
from elixirscope.query.cancellation import checkpoint, current

_NICE = 5


def findings(film: Film) -> list[Finding]:
    """The findings. Raises `QueryError` when the question is cancelled."""
    arrays = film.recording.arrays
    if "findings" not in film.__dict__ and arrays.kept and not are_kept(arrays):
        command = [sys.executable, "-m", "elixirscope.web.detectives", str(film.recording.path)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet) as child:
            try:
                with current().interrupting(child.kill):
                    child.wait()
            finally:
                child.kill()
        checkpoint()
    return film.findings  # made here when it could not: then with what went wrong


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Find and keep."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICE)
    _ = Film.open(sys.argv[1]).findings


if __name__ == "__main__":
    main()
