"""Copies of the projects in `projects.toml`, ready for `mix test` without a package index.

    python benchmarks/checkout.py CLONES COPIES [NAME …]

CLONES holds a git clone (bare or not) of each project, named `OWNER+NAME` or `NAME`; COPIES gets a folder per project.
What a copy changes of its commit is all in `projects.toml`; its file `.commit` names the commit. A copy that is there
already is left alone.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

PROJECTS = Path(__file__).with_name("projects.toml")
# How the projects spell their dependencies: a function, or a list in place.
_FUNCTION = re.compile(r"^  defp? deps(\(\))? do\n.*?^  end\n", re.DOTALL | re.MULTILINE)
_LIST = re.compile(r"\bdeps: (\[.*?\]|@?deps)(?=,|\n)", re.DOTALL)
_COVERAGE = re.compile(r"^ *test_coverage: \[tool: ExCoveralls\],?\n", re.MULTILINE)


def projects() -> dict[str, dict[str, Any]]:
    """Every project of `projects.toml`, in the order of the file."""
    return tomllib.loads(PROJECTS.read_text(encoding="utf-8"))


def arguments(name: str) -> list[str]:
    """What `mix test` of this project needs besides, to run on one machine without a network; nothing of others."""
    return list(projects().get(name, {}).get("arguments", []))


def git(clone: Path, *arguments: str) -> bytes:
    """What git says in `clone`."""
    folder = clone / ".git" if (clone / ".git").exists() else clone
    return subprocess.run(["git", f"--git-dir={folder}", *arguments], capture_output=True, check=True).stdout


def find_clone(clones: Path, repository: str) -> Path:
    """The clone of `OWNER/NAME` below `clones`. Raises `FileNotFoundError`."""
    owner, name = repository.split("/")
    for folder in (clones / f"{owner}+{name}" / "repo", clones / f"{owner}+{name}", clones / name):
        if (folder / "HEAD").exists() or (folder / ".git").exists():
            return folder
    raise FileNotFoundError(f"no clone of {repository} in {clones}: git clone https://github.com/{repository}")


def copy(name: str, project: dict[str, Any], clones: Path, target: Path) -> str:
    """Make the copy of one project in `target`; returns its commit."""
    clone = find_clone(clones, project["repository"])
    commit = git(clone, "rev-parse", project["tag"] + "^{commit}").decode().strip()
    without = [f":(exclude){path}" for path in ["mix.lock", *project.get("remove", [])]]
    with tarfile.open(fileobj=io.BytesIO(git(clone, "archive", commit, "--", ".", *without))) as archive:
        archive.extractall(target, filter="data")
    for path, text in project.get("write", {}).items():
        (target / path).write_text(text, encoding="utf-8")
    if "mix.exs" not in project.get("write", {}):
        mix = target / "mix.exs"
        mix.write_text(_dependencies(mix.read_text(encoding="utf-8"), name, project.get("deps", [])), encoding="utf-8")
    for edit in project.get("replace", []):
        file = target / edit["file"]
        text = file.read_text(encoding="utf-8")
        if edit["old"] not in text:
            raise ValueError(f"{name}: {edit['file']} does not hold {edit['old']!r}")
        file.write_text(text.replace(edit["old"], edit["new"]), encoding="utf-8")
    (target / ".commit").write_text(commit + "\n", encoding="utf-8")
    return commit


def _dependencies(text: str, name: str, wanted: list[str]) -> str:
    # An own dependency of one that others bring as well must be the same: they all are.
    listed = ", ".join(f'{{:{dep}, path: "../{dep}"}}' for dep in wanted)
    text, count = _FUNCTION.subn(lambda _: f"  defp deps do\n    [{listed}]\n  end\n", text, count=1)
    if count == 0:
        text, count = _LIST.subn(lambda _: f"deps: [{listed}]", text, count=1)
    if count == 0 and wanted:
        raise ValueError(f"{name}: mix.exs lists no dependencies")
    return _COVERAGE.sub("", text)


def main() -> None:
    """Parse the command line and make the copies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clones", type=Path)
    parser.add_argument("copies", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    for name, project in projects().items():
        target = options.copies / name
        if (options.names and name not in options.names) or target.exists():
            continue
        target.mkdir(parents=True)
        try:
            print(f"{name:<20} {project['tag']:<10} {copy(name, project, options.clones, target)[:10]}")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            shutil.rmtree(target)
            print(f"{name:<20} not copied: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
