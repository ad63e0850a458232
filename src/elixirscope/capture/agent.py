"""The agent's compiled modules: built once per agent and Elixir version with the target's own compiler."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from elixirscope import __version__
from elixirscope.capture.toolchain import Toolchain, cache_home, clean_environment
from elixirscope.errors import EnvironmentProblem, TargetError

_PACKAGE = Path(__file__).resolve().parent.parent
# In an installed wheel the sources are inside the package, in a checkout beside `src`.
_SOURCES = (_PACKAGE / "_agent" / "lib", _PACKAGE.parent.parent / "agent" / "lib")
_FINGERPRINT = "sha256"  # of what is built into `ebin`, beside it
_OURS = (".app", ".beam", ".bundle")

_APP = """\
{{application, elixir_scope,
 [{{description, "ElixirScope capture agent"}},
  {{vsn, "{version}"}},
  {{modules, [{modules}]}},
  {{registered, []}},
  {{applications, [kernel, stdlib, elixir]}},
  {{env, [{{build, <<"{build}">>}}]}},
  {{mod, {{'Elixir.ElixirScope.Application', []}}}}]}}.
"""


def agent_sources() -> Path:
    """The folder of the agent's Elixir sources. Raises `EnvironmentProblem` when the package lacks them."""
    for folder in _SOURCES:
        if next(folder.rglob("*.ex"), None) is not None:
            return folder
    raise EnvironmentProblem(
        f"the capture agent's sources are missing from this installation ({_SOURCES[0]})",
        "install elixirscope again",
    )


def compiled_agent(
    toolchain: Toolchain, announce: Callable[[str], None] = lambda _: None, sources: Path | None = None
) -> Path:
    """The folder with the agent's `.beam` and `.app` files for `toolchain`, compiling them when needed.

    `sources` is where the agent's Elixir files are, by default `agent_sources()`. `announce` is told once,
    before a compilation starts. Safe to call from several recorders at a time. Raises `TargetError` with the
    compiler's message when the compilation fails.
    """
    sources = sources or agent_sources()
    files = sorted(sources.rglob("*.ex"))
    name = f"{_digest(sources, files)}-{toolchain.elixir_version}-otp{toolchain.otp_release}"
    home = cache_home() / "agent"
    ebin = home / name / "ebin"
    if _whole(ebin):
        return ebin
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home / f"{name}.lock"):
            if not _whole(ebin):  # another recorder may have built it while we waited
                shutil.rmtree(ebin.parent, ignore_errors=True)
                announce(f"preparing the capture agent for Elixir {toolchain.elixir_version} (once)")
                _build(toolchain, files, home, ebin.parent, name)
    except OSError as error:
        raise EnvironmentProblem(
            f"cannot keep the compiled capture agent in {home}: {error.strerror or error}",
            "free space there, or point XDG_CACHE_HOME to a folder that can be written",
        ) from error
    return ebin


def _whole(ebin: Path) -> bool:
    """Whether all is as it was built: the disk may have been full, or somebody have cleaned the cache."""
    try:
        return (ebin.parent / _FINGERPRINT).read_text(encoding="ascii") == _fingerprint(ebin)
    except (OSError, UnicodeDecodeError):
        return False


def _fingerprint(ebin: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(ebin.iterdir()):
        if file.suffix in _OURS:  # recorded VMs keep beside them what they have rewritten, with checksums of its own
            digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _digest(root: Path, files: list[Path]) -> str:
    digest = hashlib.sha256(f"{__version__} {_FINGERPRINT}".encode())  # and how it is kept
    for file in files:
        digest.update(f"\0{file.relative_to(root)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _build(toolchain: Toolchain, files: list[Path], home: Path, target: Path, name: str) -> None:
    work = Path(tempfile.mkdtemp(prefix="build-", dir=home))
    try:
        ebin = work / "ebin"
        ebin.mkdir()
        command = [
            toolchain.elixirc,
            *toolchain.elixirc_options,
            "--ignore-module-conflict",
            "--no-docs",
            "--no-debug-info",
            "-o",
            str(ebin),
            *map(str, files),
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,  # what is there to read is the recorded command's
            capture_output=True,
            text=True,
            errors="replace",
            env=clean_environment(),
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise TargetError(
                f"the capture agent does not compile with Elixir {toolchain.elixir_version}"
                f" on Erlang/OTP {toolchain.otp_release}; the compiler said:\n{said}",
                "on Debian and Ubuntu the package erlang-dev is needed too; otherwise please report this",
            )
        modules = sorted(beam.stem for beam in ebin.glob("*.beam"))
        listed = ",\n             ".join(f"'{module}'" for module in modules)
        app = _APP.format(version=__version__, modules=listed, build=name)
        (ebin / "elixir_scope.app").write_text(app, encoding="utf-8")
        (ebin / "elixir_scope.bundle").write_bytes(_bundle(name, ebin, modules))
        (work / _FINGERPRINT).write_text(_fingerprint(ebin), encoding="ascii")
        work.rename(target)  # whole or not at all
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bundle(build: str, ebin: Path, modules: list[str]) -> bytes:
    """All modules in one file, quicker to read: `<<length:16, build, (length:16, name, bytes:32, beam)*>>`."""
    parts = [len(build).to_bytes(2, "big"), build.encode()]
    for module in modules:
        beam = (ebin / f"{module}.beam").read_bytes()
        parts += [len(module).to_bytes(2, "big"), module.encode(), len(beam).to_bytes(4, "big"), beam]
    return b"".join(parts)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
