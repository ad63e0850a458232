"""The native engine's library: built on first use with the C compiler found here, kept per agent and OTP release."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

from elixirscope import __version__
from elixirscope.capture.agent import agent_sources
from elixirscope.capture.toolchain import Toolchain, cache_home, clean_environment
from elixirscope.errors import EnvironmentProblem, TargetError

Engine: TypeAlias = Literal["auto", "native", "portable"]

# It reads the sizes of binaries from the VM's memory: only where its tests have run.
KNOWN_OTP: Final = ("25", "27", "28", "29")
FLAGS: Final = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-fno-plt", "-fPIC", "-shared", "-fvisibility=hidden")
_BUILD_S: Final = 120  # it takes one or two
_PORTABLE: Final = "record with --engine portable"


def choose_library(
    engine: Engine, toolchain: Toolchain, announce: Callable[[str], None] = lambda _: None
) -> Path | None:
    """The library the agent is to load, None for the portable engine.

    `auto` is the native engine wherever it can be built; elsewhere the portable one records, and `announce` is told
    why. `native` raises `TargetError` where it cannot be built, and `EnvironmentProblem` where it cannot be kept;
    where this release of OTP is not one it knows, or has no headers here, it is `auto`.
    """
    if engine == "portable":
        return None
    if toolchain.otp_release not in KNOWN_OTP:
        known = ", ".join(KNOWN_OTP)
        announce(f"the native engine knows Erlang/OTP {known} and this is {toolchain.otp_release}: recording portably")
        return None
    if not toolchain.headers:
        announce(
            f"the release runs Erlang/OTP {toolchain.otp_release}, whose C headers are not here: recording portably"
        )
        return None
    if engine == "native":
        return native_library(toolchain, announce)
    try:
        return native_library(toolchain, announce, again=False)
    except (TargetError, EnvironmentProblem) as error:
        announce(f"{error.message.splitlines()[0].removesuffix(', which said:')}: recording portably")
        return None


def native_library(
    toolchain: Toolchain,
    announce: Callable[[str], None] = lambda _: None,
    sources: Path | None = None,
    *,
    again: bool = True,
) -> Path:
    """The compiled library for `toolchain`, compiling it when needed.

    `sources` is the folder of the C files, by default the agent's. What once did not compile is tried `again`, or not.
    Safe to call from several recorders at a time.
    Raises `TargetError` without a 64-bit Linux, a C compiler or Erlang's headers, and with what the compiler said
    when it fails.
    """
    machine = platform.machine()
    if platform.system() != "Linux" or sys.byteorder != "little" or sys.maxsize < 2**32:
        raise TargetError(f"the native engine is for 64-bit Linux, and this is {platform.platform()}", _PORTABLE)
    sources = sources or agent_sources().parent / "c_src"
    files = sorted(sources.glob("*.[ch]"))
    if not files:
        raise EnvironmentProblem(f"the native engine's sources are missing ({sources})", "install elixirscope again")
    digest = hashlib.sha256(f"{__version__} {FLAGS}".encode())
    for file in files:
        digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    home = cache_home() / "native"
    name = f"{digest.hexdigest()[:16]}-otp{toolchain.otp_release}-{machine}"
    if library := _kept(home, name):
        return library
    compiler, headers = _compiler(), _headers()
    # What the compiler said when it failed, for whoever would otherwise wait for it at each start.
    failure = home / f"{name}.failed"
    if not again and _later(failure, compiler):
        raise _no_build(compiler, failure.read_text(encoding="utf-8", errors="replace"))
    announce(f"building the native engine for Erlang/OTP {toolchain.otp_release} (once)")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="build-", dir=home) as work:
            partial = Path(work) / name
            said = _build(compiler, headers, [file for file in files if file.suffix == ".c"], partial)
            if said is not None:
                failure.write_text(said, encoding="utf-8")
                raise _no_build(compiler, said)
            failure.unlink(missing_ok=True)
            library = home / f"{name}-{_fingerprint(partial)}.so"
            partial.replace(library)  # whole or not at all; another recorder's is the same
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot keep the native engine in {home}: {error.strerror or error}",
            "free space there, or point XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return library


def _kept(home: Path, name: str) -> Path | None:
    """The library as it was built. A VM that loads one with a page missing (the disk was full, the machine lost its
    power) ends with SIGBUS, at each start."""
    for library in home.glob(f"{name}-*.so"):
        try:
            if library.stem == f"{name}-{_fingerprint(library)}":
                return library
            library.unlink()
        except OSError:
            continue  # it cannot be read, or removed: one is built, or that tells why not
    return None


def _fingerprint(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _compiler() -> str:
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise TargetError(
        "the native engine needs a C compiler, and there is none on PATH",
        f"install gcc or clang, or {_PORTABLE}",
    )


def _headers() -> Path:
    erl = shutil.which("erl")
    if erl is None:
        raise TargetError("the native engine needs Erlang's headers, and there is no `erl` on PATH", _PORTABLE)
    # Where `erl` is a link into its installation, that tells without starting a VM.
    root = Path(erl).resolve().parent.parent
    if not any(root.glob("erts-*")):
        root = _asked_root(erl)
    for folder in (root / "usr" / "include", *sorted(root.glob("erts-*/include"), reverse=True)):
        if (folder / "erl_nif.h").is_file():
            return folder
    raise TargetError(
        f"the native engine needs Erlang's C headers, and there is no erl_nif.h below {root}",
        f"install them (Debian and Ubuntu: sudo apt-get install erlang-dev), or {_PORTABLE}",
    )


def _asked_root(erl: str) -> Path:
    script = "io:put_chars(code:root_dir()), halt()."
    try:
        answer = subprocess.run(
            [erl, "-noshell", "-eval", script],
            stdin=subprocess.DEVNULL,  # what is there to read is the recorded command's
            capture_output=True,
            text=True,
            errors="replace",
            env=clean_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"`{erl}` does not run: {error}", _PORTABLE) from error
    return Path(answer.stdout.strip() or "/")


def _later(file: Path, compiler: str) -> bool:
    """Whether `file` is there, and this compiler was already there before."""
    try:
        return file.stat().st_mtime_ns > Path(compiler).stat().st_mtime_ns
    except OSError:
        return False


def _build(compiler: str, headers: Path, files: list[Path], library: Path) -> str | None:
    """None, or what the compiler said when it failed."""
    command = [compiler, *FLAGS, f"-I{headers}", "-o", str(library), *map(str, files)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BUILD_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"nothing, and did not end within {_BUILD_S} s"
    except OSError as error:
        return f"{compiler}: {error.strerror or error}"
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()


def _no_build(compiler: str, said: str) -> TargetError:
    return TargetError(f"the native engine does not compile with {compiler}, which said:\n{said}", _PORTABLE)
