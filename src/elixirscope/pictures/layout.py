"""The geometry of a picture: which line says what of whom, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass

from elixirscope.pictures.literals import PictureError

_TIME = re.compile(r"(\d+(?:\.\d+)?)(ns|µs|us|ms|s)?(?=\s|$)")
_UNITS = {"ns": 1, "µs": 1_000, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_NAME = re.compile(r"[a-z_]\w*")
_COMMENT = re.compile(r"(?:^|\s)\s*#\s.*$|^\s*#$")
_RIGHT = re.compile(r"--+\s*(.*?)\s*--*(>|x)(?=\s|$)")
_LEFT = re.compile(r"(<|x)--*\s*(.*?)\s*--+(?=\s|$)")
_HEADER = "processes:"


@dataclass(frozen=True)
class Row:
    """One statement of process `subject`; with `target` set, a message on its way there."""

    line: int
    at: int | None  # ns; None: just after the row before
    subject: str
    target: str | None
    text: str
    arrives: bool = True


def read_rows(picture: str) -> tuple[list[str], list[Row]]:
    """The processes of a picture and its rows, from either way of drawing."""
    lines = [(number, _COMMENT.sub("", line).rstrip()) for number, line in enumerate(picture.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line.strip()]
    if not lines:
        return [], []
    _, head = lines[0]
    if head.strip().startswith(_HEADER):
        names = [name.strip() for name in head.strip()[len(_HEADER) :].split(",") if name.strip()]
        _check(names)
        return names, [_sentence(number, line, names) for number, line in lines[1:]]
    anchors = {match.start(): match.group() for match in re.finditer(r"\S+", head)}
    _check(list(anchors.values()))
    rows = (_drawn(number, line, anchors) for number, line in lines[1:])
    return list(anchors.values()), [row for row in rows if row is not None]


def _check(names: list[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise PictureError(
                f"{name!r} cannot name a process of a picture",
                "begin with the names of the processes, in lower case: they are the columns",
            )
    if len(set(names)) != len(names):
        raise PictureError("two processes of the picture have the same name", "give each its own")


def _sentence(number: int, line: str, names: list[str]) -> Row:
    """`5 seats state %{}` or `6 client -> seats call :free`."""
    at, rest = _time(line.strip())
    match = re.match(r"(\w+)\s*(?:->\s*(\w+)\s+)?(.*)", rest)
    if not match or match.group(1) not in names or (match.group(2) and match.group(2) not in names):
        raise _bad(number, line, f"a line starts with one of {', '.join(names)}, after its time")
    subject, target, text = match.groups()
    return Row(number, at, subject, target, text.strip())


def _drawn(number: int, line: str, anchors: dict[int, str]) -> Row | None:
    first = min(anchors)
    at, rest = _time(line[:first].strip()) if line[:first].strip() else (None, "")
    if rest:
        raise _bad(number, line, "left of the first column there is only room for the time")
    canvas = list(line)
    for anchor in anchors:
        if anchor < len(canvas) and canvas[anchor] == "|":
            canvas[anchor] = " "
    canvas[:first] = " " * min(first, len(canvas))
    cells = "".join(canvas)
    cells = cells.rstrip(" |")
    text = cells.lstrip(" |")
    if not text:
        return None
    start = len(cells) - len(text)
    arrow = _RIGHT.fullmatch(text) or _LEFT.fullmatch(text)
    if arrow is None:
        column = max((anchor for anchor in anchors if anchor <= start), default=None)
        if column is None:
            raise _bad(number, line, "the statement begins left of every process")
        return Row(number, at, anchors[column], None, text)
    rightward = text.startswith("--")
    left, right = (_nearest(anchors, start), _nearest(anchors, start + len(text) - 1))
    source, target = (left, right) if rightward else (right, left)
    label, head = (arrow.group(1), arrow.group(2)) if rightward else (arrow.group(2), arrow.group(1))
    return Row(number, at, source, target, label, arrives=head in "<>")


def _nearest(anchors: dict[int, str], at: int) -> str:
    return anchors[min(anchors, key=lambda anchor: abs(anchor - at))]


def _time(text: str) -> tuple[int | None, str]:
    match = _TIME.match(text)
    if not match:
        return None, text
    return round(float(match.group(1)) * _UNITS[match.group(2) or "µs"]), text[match.end() :].strip()


def _bad(number: int, line: str, why: str) -> PictureError:
    return PictureError(f"line {number} of the picture, {line.strip()!r}: {why}", "docs/pictures.md shows how")
