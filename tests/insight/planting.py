"""Programs with planted bugs: recorded on a real BEAM, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import elixirscope as library
from elixirscope.insight import Finding
from tests.conftest import Run


def findings_of(script: str, elixirscope: Run, folder: Path) -> list[Finding]:
    """Record a script in `folder`; gives what is found."""
    source = folder / "planted.exs"
    source.write_text(script)
    elixirscope("record", "-o", folder / "planted.scope", "--", "elixir", source, cwd=folder)
    return library.open(folder / "planted.scope").findings


def line_in(script: str, text: str) -> int:
    """The first line of a script that has a text."""
    return next(number for number, line in enumerate(script.splitlines(), 1) if text in line)


def the(findings: list[Finding], title: str) -> Finding:
    """The one finding with a text in its title."""
    (finding,) = [finding for finding in findings if title in finding.title]
    return finding


def place(finding: Finding) -> tuple[str, int]:
    """The function and line it blames."""
    assert finding.location is not None
    return finding.location.function, finding.location.line
