"""The release that a command starts: what it runs on, and a boot script that brings the agent in.

A release starts its applications from its boot script, before the VM evaluates what ERL_AFLAGS says. The script is a
term, and its format documented (`script(4)` of OTP's SASL); `mix release` puts steps of its own into it likewise. Ours
is the release's with one step more, after Elixir has started and before anything else has. It lies in the recording,
and the release's own command is told of it by RELEASE_BOOT_SCRIPT.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from elixirscope.capture.toolchain import Toolchain, check, find_toolchain
from elixirscope.errors import RecordingError, TargetError
from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, Term

# ERTS 13 came with OTP 25, and each major version since with the next.
_OTP_OF_ERTS: Final = 12
# Start a program as another user, or within other folders: it does not boot where its script cannot be read.
_OTHERS: Final = (
    *("chroot", "doas", "docker", "gosu", "nsenter", "podman"),
    *("runuser", "setpriv", "su", "sudo", "systemd-run", "unshare"),
)
_STARTS: Final = [
    (Atom("apply"), (Atom("application"), Atom("start_boot"), [Atom("elixir"), Atom(mode)]))
    for mode in ("permanent", "transient", "temporary")
]


def _call(module: str, function: str, arguments: list[Term]) -> Term:
    callee = (Atom("remote"), 1, (Atom("atom"), 1, Atom(module)), (Atom("atom"), 1, Atom(function)))
    return (Atom("call"), 1, callee, arguments)


# Evaluated, since whatever a step raises ends the VM:
# code:load_file('Elixir.ElixirScope.Boot'), catch 'Elixir.ElixirScope.Boot':start()
_BOOT: Final = "Elixir.ElixirScope.Boot"
_LOAD: Final = _call("code", "load_file", [(Atom("atom"), 1, Atom(_BOOT))])
_START: Final[Term] = (Atom("catch"), 1, _call(_BOOT, "start", []))
_AGENT: Final = (Atom("apply"), (Atom("erl_eval"), Atom("exprs"), [[_LOAD, _START], []]))


class Release(msgspec.Struct, frozen=True):
    """A release with Elixir in it: its folder, the folder of the version that starts, and what that runs on.

    `otp` is None when it brings no Erlang of its own. `script` is its boot script, whose step `started` starts Elixir.
    """

    root: Path
    folder: Path
    elixir: str
    otp: str | None
    script: tuple[Term, Term, list[Term]]
    started: int


def find_release(command: Sequence[str], announce: Callable[[str], None] = lambda _: None) -> Release | None:
    """The release that `command` starts: it is, or names, a program in a release's `bin`.

    None when there is none, when it has no Elixir or cannot be read (the command will say why), and when it would not
    start from a script of ours: `announce` is told.
    """
    roots = {root for path in _programs(command) if (root := _root(path)) is not None}
    if len(roots) > 1:
        announce(f"the command names {len(roots)} releases; to have what happens while one starts, record it alone")
        return None
    words = (word for argument in command for word in _words(argument))
    other = next((name for word in words if (name := Path(word).name) in _OTHERS), None)
    if roots and other:
        announce(f"{other} may hide the recording from the release: to have what happens while it starts, leave it out")
        return None
    return _read(roots.pop()) if roots else None


def _programs(command: Sequence[str]) -> Iterator[Path]:
    first = shutil.which(command[0])
    if first:
        yield Path(first)
    for argument in command[1:]:  # env, timeout, sh -c "…"
        for word in _words(argument):
            if "/" in word:
                yield Path(word)


def _words(argument: str) -> list[str]:
    try:
        return [argument, *shlex.split(argument)]
    except ValueError:
        return [argument]


def runs_on(command: Sequence[str]) -> bool:
    """Whether the command of a release leaves its VM running in the background."""
    return any(word in ("daemon", "daemon_iex") for argument in command for word in _words(argument))


def _root(program: Path) -> Path | None:
    """The folder of the release that `program` is in the `bin` of."""
    try:
        root = program.resolve().parent.parent
        return root if program.is_file() and (root / "releases" / "start_erl.data").is_file() else None
    except OSError:
        return None


def _read(root: Path) -> Release | None:
    try:
        erts, version = (root / "releases" / "start_erl.data").read_text(encoding="utf-8").split()
        folder = root / "releases" / os.environ.get("RELEASE_VSN", version)
        script = etf.decode((folder / f"{os.environ.get('RELEASE_BOOT_SCRIPT', 'start')}.boot").read_bytes())
        otp = str(int(erts.partition(".")[0]) + _OTP_OF_ERTS) if (root / f"erts-{erts}").is_dir() else None
    except (OSError, ValueError, RecordingError):
        return None
    match script:
        case (Atom("script"), _, list(steps)):
            elixir = next(filter(None, map(_elixir, steps)), None)
            started = next((at for at, step in enumerate(steps) if step in _STARTS), None)
            if elixir is not None and started is not None:
                return Release(root, folder, elixir, otp, script, started)
    return None


def _elixir(step: Term) -> str | None:
    """The version of Elixir, when this step of a boot script loads it."""
    match step:
        case (Atom("apply"), (_, Atom("load"), [(Atom("application"), Atom("elixir"), list(properties))])):
            version = dict(properties).get(Atom("vsn"))
            return "".join(map(chr, version)) if isinstance(version, list) else None
    return None


def toolchain_of(release: Release) -> Toolchain:
    """What compiles the agent for `release`: the Elixir on PATH when it is the same, else the release's own.

    A release holds all of Elixir's compiler. Raises `TargetError` when it is too old, or can neither.
    """
    try:
        machine = find_toolchain()
    except TargetError:
        machine = None
    if machine and machine.elixir_version == release.elixir and release.otp in (None, machine.otp_release):
        return machine
    otp = release.otp or (machine.otp_release if machine else "")
    elixir = release.folder / "elixir"
    if not otp or not elixir.is_file():
        found = f"this machine has Elixir {machine.elixir_version}" if machine else "this machine has none"
        raise TargetError(
            f"the release {release.root} runs Elixir {release.elixir} and brings no compiler, and {found}",
            f"put Elixir {release.elixir} on PATH",
        )
    boot = ("--boot", str(release.folder / "start_clean"), "--boot-var", "RELEASE_LIB", str(release.root / "lib"))
    headers = machine is not None and machine.otp_release == otp
    own = Toolchain(str(elixir), str(elixir), release.elixir, otp, (*boot, "+elixirc"), headers)
    check(own)
    return own


def write_boot_script(release: Release, folder: Path) -> dict[str, str]:
    """Write the release's boot script with the agent in it to `folder`, which is made.

    Returns the variables that have the release use it. Raises `OSError` when it cannot be written.
    """
    name, identity, steps = release.script
    folder.mkdir()
    file = folder.resolve() / "start.boot"
    with_agent = [*steps[: release.started + 1], _AGENT, *steps[release.started + 1 :]]
    file.write_bytes(etf.encode((name, identity, with_agent)))
    # The release looks below the folder of its version, by whatever path that is reached.
    up = "../" * (len(release.folder.parts) + len(release.folder.resolve().parts))
    return {"RELEASE_BOOT_SCRIPT": up + str(file.with_suffix("")).lstrip("/")}


def build_folders(command: Sequence[str], release: Release | None, toolchain: Toolchain) -> list[Path]:
    """Folders with `lib/APP/ebin` in them where the modules of a release or an escript may lie as they were built.

    What is packed has lost its debug information; the agent takes it from a file with the same code.
    """
    near = [path.resolve().parent for path in islice(_programs(command), 1)]
    builds = [build for folder in (*near, Path.cwd()) for build in sorted((folder / "_build").glob("*"))]
    if release:
        builds.insert(0, release.root.parent.parent)  # _build/prod/rel/app
    builds.append(Path(toolchain.elixir).resolve().parent.parent)
    return [build for build in dict.fromkeys(builds) if (build / "lib").is_dir()]
