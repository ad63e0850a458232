"""`record --open`: the Cinema beside the program, until Ctrl-C."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import environment

pytestmark = pytest.mark.beam


def test_the_cinema_opens_at_once_and_stays_until_interrupted(tmp_path: Path) -> None:
    recording = tmp_path / "r.scope"
    command: list[str | Path] = [sys.executable, "-m", "elixirscope.cli.main", "record", "--open", "-o", recording]
    program = "IO.puts(:said); IO.read(:line)"
    with subprocess.Popen(
        [*command, "--", "elixir", "-e", program],
        env=environment() | {"BROWSER": "true", "XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as recorder:
        assert recorder.stdin is not None
        assert recorder.stdout is not None
        assert recorder.stderr is not None
        url = next(line for line in recorder.stderr if "http" in line)
        found = re.fullmatch(r"elixirscope: watch it live at (http://127\.0\.0\.1:\d+)/\?token=(\S+)", url.strip())
        assert found
        with httpx.Client(base_url=found[1], headers={"authorization": f"Bearer {found[2]}"}, timeout=60) as client:
            assert client.get("/api/head").json()["state"] == "recording"
            recorder.stdin.close()  # the program ends
            last = next(line for line in recorder.stderr if "Ctrl-C" in line)
            assert "the Cinema stays open" in last
            assert client.get("/api/info").status_code == 200
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(60) == 0
        assert recorder.stdout.read() == "said\n", "standard output is the program's alone"
        with pytest.raises(httpx.ConnectError):
            httpx.get(found[1])
