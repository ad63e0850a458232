"""`elixirscope prune PATH…`: make room, by age, size and interest."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from elixirscope.cli.output import json_option, print_json, print_table, size
from elixirscope.errors import ElixirScopeError, EnvironmentProblem, UsageError

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_AGES: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)i?B?", re.IGNORECASE)
_SIZES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class _Step(msgspec.Struct):
    """What is to be done with one recording: keep, cut or remove."""

    path: str
    action: str
    reason: str
    bytes_before: int
    bytes_after: int
    events_dropped: int = 0


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@click.option("--older-than", "age", metavar="AGE", help="Recordings that began longer ago: 12h, 7d, 4w.")
@click.option(
    "--total", "total", metavar="SIZE", help="The oldest, until the others take no more than this: 500MB, 2GB."
)
@click.option(
    "--keep-around",
    "around",
    type=click.Choice(("findings",)),
    help="Do not remove them: keep what is around their findings.",
)
@click.option(
    "--margin", default="2s", show_default=True, metavar="T", help="How much before and after a finding's evidence."
)
@click.option("--yes", is_flag=True, help="Do it. Without this, only say what would go.")
@json_option
def command(
    paths: tuple[Path, ...],
    age: str | None,
    total: str | None,
    around: str | None,
    margin: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove recordings, or the parts of them that do not matter. PATH is a recording, a pack, or a folder of them.

    With --keep-around findings alone, every recording is cut to what is around its findings; with --older-than or
    --total, only those that would be removed. What was cut is told by `info` under "Not recorded".
    """
    from elixirscope.query.resolve import parse_time

    if age is None and total is None and around is None:
        raise UsageError("nothing says what may go", "give --older-than, --total or --keep-around findings")
    found = sorted({recording for path in paths for recording in _recordings(path)}, key=_began)
    going = _going(found, age, total)
    margin_ns = parse_time(margin)
    steps = []
    for recording in found:
        reason = going.get(recording)
        if reason is None and (age is not None or total is not None):
            steps.append(_Step(str(recording), "keep", "", _bytes(recording), _bytes(recording)))
        elif around is not None:
            steps.append(_cut(recording, reason or "not around a finding", margin_ns, yes))
        else:
            steps.append(_removed(recording, reason or "", yes))
    if as_json:
        print_json(steps)
    else:
        rows = [(s.path, s.action, size(s.bytes_before), size(s.bytes_after), s.reason) for s in steps]
        print_table(("recording", "", "now", "then", "why"), rows, right=("now", "then"))
    freed = sum(step.bytes_before - step.bytes_after for step in steps)
    done = "freed" if yes else "would be freed; nothing was touched. Give --yes to do it"
    click.echo(f"elixirscope: {size(freed)} {done}", err=True)


def _recordings(path: Path) -> list[Path]:
    """The recordings that a path names. Raises `UsageError` for one that names none."""
    if _is_recording(path):
        return [path]
    if not path.is_dir():
        raise UsageError(f"there is no recording at {path}", "give a recording, a pack, or a folder of them")
    inside = sorted(child for child in path.iterdir() if _is_recording(child))
    if not inside:
        raise UsageError(f"there are no recordings in {path}", "give a recording, a pack, or a folder of them")
    return inside


def _is_recording(path: Path) -> bool:
    if path.is_symlink():
        return False  # what it points to is somebody else's
    return (path.is_file() and path.suffix == ".scopez") or (
        (path / "raw").is_dir() and ((path / "manifest.json").is_file() or any((path / "raw").glob("*.frames")))
    )


def _began(recording: Path) -> float:
    """When a recording began (Unix time): as its manifest says, else when it was last changed."""
    from elixirscope.recording.manifest import Manifest
    from elixirscope.recording.packed import located

    try:
        manifest = Manifest.load(located(recording))
    except ElixirScopeError:
        manifest = None  # damaged: its age is that of its files
    if manifest is not None and manifest.created_unix_ns:
        return manifest.created_unix_ns / 1e9
    return recording.stat().st_mtime


def _bytes(recording: Path) -> int:
    if recording.is_file():
        return recording.stat().st_size
    return sum(path.stat().st_size for path in recording.rglob("*") if path.is_file() and not path.is_symlink())


def _going(found: list[Path], age: str | None, total: str | None) -> dict[Path, str]:
    """Which of `found` (the oldest first) are to go, and why."""
    going: dict[Path, str] = {}
    if age is not None:
        matched = _AGE.fullmatch(age.strip())
        if matched is None:
            raise UsageError(f"{age!r} is no age", "write 30m, 12h, 7d or 4w")
        before = time.time() - float(matched[1]) * _AGES[matched[2]]
        going |= {recording: f"older than {age}" for recording in found if _began(recording) < before}
    if total is not None:
        matched = _SIZE.fullmatch(total.strip())
        if matched is None:
            raise UsageError(f"{total!r} is no size", "write 500MB or 2GB")
        allowed = float(matched[1]) * _SIZES[matched[2].lower()]
        left = sum(_bytes(recording) for recording in found if recording not in going)
        for recording in found:
            if left <= allowed:
                break
            if recording not in going:
                going[recording] = f"all take more than {total}"
                left -= _bytes(recording)
    return going


def _removed(recording: Path, reason: str, yes: bool) -> _Step:
    step = _Step(str(recording), "remove", reason, _bytes(recording), 0)
    if not yes:
        return step
    try:
        if recording.is_file():
            recording.unlink()
        else:
            gone = recording.with_name(f".{recording.name}.gone")
            recording.rename(gone)  # whatever stops us now leaves no half recording under its name
            shutil.rmtree(gone)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot remove {recording}: {error.strerror or error}", "make its folder writable, or remove it by hand"
        ) from error
    return step


def _cut(recording: Path, reason: str, margin: int, yes: bool) -> _Step:
    """Cut to what is around the findings; a recording that cannot be cut, or has none, stays as it is."""
    from elixirscope.film import Film
    from elixirscope.recording.pruning import cut

    now = _bytes(recording)
    try:
        findings = Film.open(recording).findings
        windows = [
            (step.moment.at - margin, step.moment.at + margin + 1) for finding in findings for step in finding.evidence
        ]
        if not windows:
            return _Step(str(recording), "keep", "it has no findings to keep around", now, now)
        why = f"only {margin / 1e9:g} s around {len(findings)} findings were kept"
        made = cut(recording, windows, why, dry=not yes)
    except UsageError as error:
        return _Step(str(recording), "keep", error.message, now, now)
    after = _bytes(recording) if yes else made.bytes_after + (now - _bytes_of(recording, "raw"))
    return _Step(str(recording), "cut", reason, now, min(after, now), made.dropped)


def _bytes_of(recording: Path, part: str) -> int:
    return _bytes(recording / part) if (recording / part).is_dir() else 0
