"""The Elixir that the target will run with: where it is, which version, and whether it will do."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from elixirscope.errors import TargetError
from elixirscope.folders import user_folder

MIN_ELIXIR = (1, 14)
MIN_OTP = 25

# Variables by which a user's own VM settings would reach the short-lived VMs we start ourselves.
_VM_VARIABLES = (
    "ERL_AFLAGS",
    "ERL_FLAGS",
    "ERL_ZFLAGS",
    "ERL_COMPILER_OPTIONS",
    "ELIXIR_ERL_OPTIONS",
    "ELIXIRSCOPE_AGENT",
    "ELIXIRSCOPE_DIR",
    "ELIXIRSCOPE_NATIVE",
    "ELIXIRSCOPE_BUILDS",
)
_INSTALL = {
    "debian": "install it with: sudo apt-get install elixir erlang-dev",
    "fedora": "install it with: sudo dnf install elixir erlang",
    "arch": "install it with: sudo pacman -S elixir",
    "alpine": "install it with: sudo apk add elixir",
    "macos": "install it with: brew install elixir",
    "other": "install it with: mise use -g erlang elixir (https://mise.jdx.dev), or asdf",
}


class Toolchain(msgspec.Struct, frozen=True):
    """An Elixir installation: absolute paths of its commands, and the versions they report.

    `elixirc_options` come first when `elixirc` is called. `headers`: whether the Erlang on PATH, whose C headers
    can be had, is of the same release of OTP.
    """

    elixir: str
    elixirc: str
    elixir_version: str
    otp_release: str
    elixirc_options: tuple[str, ...] = ()
    headers: bool = True


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/elixirscope`, by default under `~/.cache`; not created here."""
    return user_folder("XDG_CACHE_HOME")


def clean_environment() -> dict[str, str]:
    """This process's environment without what would change a VM we start for ourselves."""
    return {name: value for name, value in os.environ.items() if name not in _VM_VARIABLES}


def find_toolchain() -> Toolchain:
    """The Elixir on PATH, as a command started here and now would find it.

    Its versions are remembered by the path and modification time of `elixir` and `erl`, so that
    only the first call starts a VM. Raises `TargetError` when there is none, or it is too old.
    """
    elixir = shutil.which("elixir")
    if elixir is None:
        raise TargetError("Elixir is not installed here: no `elixir` on PATH", install_hint())
    elixirc = shutil.which("elixirc") or str(Path(elixir).with_name("elixirc"))
    remembered = _memory_file(elixir)
    toolchain = _recall(remembered) if remembered else None
    if toolchain is None:
        toolchain = _ask(elixir, elixirc)
        if remembered:
            _remember(remembered, toolchain)
    check(toolchain)
    return toolchain


def install_hint() -> str:
    """One sentence that says how to get Elixir on this platform."""
    if platform.system() == "Darwin":
        return _INSTALL["macos"]
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return _INSTALL["other"]
    families = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    for family in families:
        key = {"ubuntu": "debian", "rhel": "fedora"}.get(family, family)
        if key in _INSTALL:
            return _INSTALL[key]
    return _INSTALL["other"]


def _memory_file(elixir: str) -> Path | None:
    # Version managers put shims on PATH, whose answer depends on the folder they are called in.
    erl = shutil.which("erl")
    if erl is None or "shims" in Path(elixir).parts:
        return None
    key = hashlib.sha256()
    for command in (elixir, erl):
        path = Path(command).resolve()
        key.update(f"{path}\0{path.stat().st_mtime_ns}\0".encode())
    return cache_home() / "toolchain" / f"{key.hexdigest()[:24]}.json"


def _recall(file: Path) -> Toolchain | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Toolchain)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return None  # asked again: the memory only saves time


def _remember(file: Path, toolchain: Toolchain) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(toolchain))
        partial.replace(file)
    except OSError:
        return  # a cache that cannot be written costs the next run 0.2 s, nothing else


def _ask(elixir: str, elixirc: str) -> Toolchain:
    try:
        answer = subprocess.run(
            [elixir, "--version"],
            stdin=subprocess.DEVNULL,  # what is there to read is the recorded command's
            capture_output=True,
            text=True,
            errors="replace",
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"`{elixir} --version` does not run: {error}", install_hint()) from error
    release = re.search(r"Erlang/OTP (\d+)", answer.stdout)
    version = re.search(r"Elixir (\d+\.\d+\.\d+\S*)", answer.stdout)
    if not release or not version:
        said = (answer.stderr.strip() or answer.stdout.strip() or "nothing").splitlines()[-1]
        raise TargetError(f"`{elixir} --version` failed; it said: {said}", install_hint())
    return Toolchain(elixir, elixirc, version[1], release[1])


def check(toolchain: Toolchain) -> None:
    """Raise `TargetError` when `toolchain` is too old."""
    major, minor = (int(part) for part in toolchain.elixir_version.split(".")[:2])
    if (major, minor) < MIN_ELIXIR:
        raise TargetError(
            f"{toolchain.elixir} is Elixir {toolchain.elixir_version}, which is too old",
            f"ElixirScope records Elixir {MIN_ELIXIR[0]}.{MIN_ELIXIR[1]} or newer; {install_hint()}",
        )
    if int(toolchain.otp_release) < MIN_OTP:
        raise TargetError(
            f"{toolchain.elixir} runs on Erlang/OTP {toolchain.otp_release}, which is too old",
            f"ElixirScope records Erlang/OTP {MIN_OTP} or newer; {install_hint()}",
        )
