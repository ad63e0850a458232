"""Which files of a folder are the project's own code, and which applications it has."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from elixirscope.brain.facts import App
from elixirscope.errors import UsageError

# Built, fetched or foreign code; hidden folders are skipped too.
_SKIPPED = frozenset({"_build", "deps", "node_modules", "cover", "doc", "priv", "assets"})
_ELIXIR = (".ex", ".exs")
_GRAMMARS = (".xrl", ".yrl")
_MAX_FILE_BYTES = 4 * 1024 * 1024


class Project(msgspec.Struct, frozen=True):
    """A folder with Elixir code: its applications, source files, and grammars (leex, yecc) that Mix makes Erlang
    modules of. Paths are relative to `root`, sorted."""

    root: Path
    apps: tuple[App, ...]
    files: tuple[str, ...]
    grammars: tuple[str, ...] = ()

    def app_of(self, file: str) -> str:
        """The name of the application that `file` belongs to, `""` for none."""
        inside = [app for app in self.apps if app.path == "." or file.startswith(app.path + "/")]
        return max(inside, key=lambda app: len(app.path)).name if inside else ""


def find_project(directory: Path) -> Project:
    """The project in `directory`: a Mix project, an umbrella, or any folder with Elixir files.

    Raises `UsageError` when there is no such folder or no Elixir in it.
    """
    root = directory.resolve()
    if not root.exists():
        raise UsageError(f"no such folder: {directory}", "give the folder of a Mix project")
    if not root.is_dir():
        raise UsageError(f"{directory} is a file, not a folder", "give the folder of a Mix project")
    sources = sorted(_sources(root))
    files = [file for file in sources if file.endswith(_ELIXIR)]
    if not files:
        raise UsageError(f"there is no Elixir code in {root}", "give the folder of a Mix project (where mix.exs is)")
    apps = []
    for file in files:
        if Path(file).name == "mix.exs":
            name = re.search(r"\bapp:\s*:(\w+)", (root / file).read_text("utf-8", "replace"))
            if name:
                apps.append(App(name[1], str(Path(file).parent)))
    return Project(root, tuple(apps), tuple(files), tuple(file for file in sources if file.endswith(_GRAMMARS)))


def _sources(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if path.suffix in (*_ELIXIR, *_GRAMMARS) and path.is_file() and path.stat().st_size <= _MAX_FILE_BYTES:
                yield str(path.relative_to(root))
