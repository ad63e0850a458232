"""Kernels: loops over arrays, written once as plain Python, compiled by Numba where there is enough to do.

A kernel takes one-dimensional arrays (contiguous, of the very types its parameters name), numbers and truth values,
and fills arrays; it gives nothing or a number. Its first array says how much work a call is. Until a kernel has been
given enough it runs as it is written, over `memoryview`s of its arrays: a small recording waits neither for Numba to
be imported nor for a compiler. Both ways do the same; a kernel must not rely on integers of 64 bits that wrap around,
nor look beyond the end of an array, which nobody checks once it is compiled.

Who must answer soon says so (`beside`): kernels are then compiled by others, and interpreted meanwhile.

What was compiled is kept in the user's cache folder (`machinecode`), under a digest of the kernel, of the kernels it
calls and of the constants it names, and is loaded without Numba. Any number of processes may compile the same at the
same time: what they write takes its place whole.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property, update_wrapper
from importlib import import_module
from pathlib import Path
from threading import Lock, RLock, Thread
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, get_type_hints
from weakref import WeakSet

import numpy as np

from elixirscope import machinecode
from elixirscope.folders import user_folder
from elixirscope.garbage import unsearched

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

Way = Literal["by size", "interpreted", "compiled"]

ENOUGH: Final = 20_000
"""Elements from which on a kernel that was compiled before is loaded; to import LLVM takes a twentieth of a second."""
ENOUGH_TO_LOAD: Final = 500
"""The same once LLVM is imported: to load a kernel takes about as long as looking at so many elements without."""
ENOUGH_TO_COMPILE: Final = 300_000
"""Elements from which on one that nobody has compiled yet is compiled, which takes about a second."""

_way: Way = "by size"
_beside: Final = ContextVar("beside", default=False)
_compiling: Final = RLock()
_all: Final[WeakSet[Kernel[..., Any]]] = WeakSet()
_LAST_S: Final = 5.0
_LAST: Final = 19  # how nice a process is that gives way to any other


class Column(Protocol):
    """An array as a kernel sees it. Kernels name one of the types below."""

    def __getitem__(self, place: int, /) -> int: ...
    def __setitem__(self, place: int, value: int, /) -> None: ...
    def __len__(self) -> int: ...


class I64(Column, Protocol):
    """int64"""


class I32(Column, Protocol):
    """int32"""


class I16(Column, Protocol):
    """int16"""


class U64(Column, Protocol):
    """uint64"""


class U32(Column, Protocol):
    """uint32"""


class U16(Column, Protocol):
    """uint16"""


class U8(Column, Protocol):
    """uint8"""


class Bits(Protocol):
    """bool"""

    def __getitem__(self, place: int, /) -> bool: ...
    def __setitem__(self, place: int, value: bool, /) -> None: ...
    def __len__(self) -> int: ...


class R32(Column, Protocol):
    """int32, only read"""


class S64(Column, Protocol):
    """int64, only read, in steps of any size: a field of records"""


class S32(Column, Protocol):
    """uint32, likewise"""


class S16(Column, Protocol):
    """uint16, likewise"""


class S8(Column, Protocol):
    """uint8, likewise"""


class Bytes(Column, Protocol):
    """uint8, only read: what is mapped from a file"""


if TYPE_CHECKING:
    Word: TypeAlias = Any
else:

    class Word:
        """One uint64, which wraps around: for kernels that are only ever compiled (see `Kernel.is_due`)"""


_TYPES: Final = {
    I64: "int64[::1]",
    I32: "int32[::1]",
    I16: "int16[::1]",
    U64: "uint64[::1]",
    U32: "uint32[::1]",
    U16: "uint16[::1]",
    U8: "uint8[::1]",
    Bits: "boolean[::1]",
    R32: "Array(int32, 1, 'C', readonly=True)",
    S64: "Array(int64, 1, 'A', readonly=True)",
    S32: "Array(uint32, 1, 'A', readonly=True)",
    S16: "Array(uint16, 1, 'A', readonly=True)",
    S8: "Array(uint8, 1, 'A', readonly=True)",
    Bytes: "Array(uint8, 1, 'C', readonly=True)",
    int: "int64",
    bool: "boolean",
    Word: "uint64",
    type(None): "void",
}


class Kernel(Generic[P, R]):
    """A function that is compiled once it has been given enough to do."""

    def __init__(self, function: Callable[P, R]) -> None:
        assert isinstance(function, FunctionType)
        self.plain = function
        update_wrapper(self, function)
        self._seen = 0
        self._compiled: machinecode.MachineCode | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        assert not kwargs, "a kernel's arguments are given in order"
        self._check(args)
        if self._compiled is None or _way == "interpreted":
            work = next(len(each) for each in args if isinstance(each, np.ndarray))
            if not self.is_due(work):
                return self.interpreted(*(each.data if isinstance(each, np.ndarray) else each for each in args))
        result: R = self.ready()(*args)
        return result

    def expect(self, work: int) -> None:
        """Say that a call will do more than its first array tells."""
        self._seen += work

    def is_due(self, work: int) -> bool:
        """Whether it is compiled for a call that does so much more: for callers who know a better way than to have it
        interpreted."""
        self._seen += work
        if _way != "by size":
            return _way == "compiled"
        if self._compiled is not None:
            return True
        beside = _beside.get()
        if self._seen < (ENOUGH_TO_LOAD if "llvmlite" in sys.modules else ENOUGH):
            return False
        if beside and _compiler.is_at(self):
            return False  # without looking at the disk for each call until it is there
        if self.is_kept:
            return True
        due = self._seen >= ENOUGH_TO_COMPILE
        if due and beside:
            _compiler.compile(self)
            return False
        return due

    def _check(self, args: tuple[object, ...]) -> None:
        """Raises `TypeError` for what machine code was not made for; it would not look."""
        for given, fits in zip(args, self._fitting, strict=True):
            if not fits(given):
                name, kind = list(self._hints.items())[self._fitting.index(fits)]
                raise TypeError(f"{self.plain.__name__}: {name} must be {kind.__doc__}, not {_told(given)}")

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return {name: kind for name, kind in get_type_hints(self.plain).items() if name != "return"}

    @cached_property
    def _fitting(self) -> list[Callable[[Any], bool]]:
        """Whether what is given fits, for each parameter."""
        return [_fit(_TYPES[kind]) for kind in self._hints.values()]

    @property
    def _others(self) -> dict[str, Kernel[..., Any]]:
        """The kernels that this one calls."""
        named = ((name, self.plain.__globals__.get(name)) for name in self.plain.__code__.co_names)
        return {name: other for name, other in named if isinstance(other, Kernel)}

    @cached_property
    def interpreted(self) -> Callable[..., R]:
        """The function as it is written, over whatever is indexed."""
        return self._with({name: other.interpreted for name, other in self._others.items()})

    def _with(self, others: dict[str, Any]) -> FunctionType:
        """The function, calling these in place of other kernels."""
        plain = self.plain
        made = FunctionType(plain.__code__, {**plain.__globals__, **others}, plain.__name__, plain.__defaults__)
        made.__module__, made.__qualname__ = plain.__module__, plain.__qualname__
        return made

    @cached_property
    def _signature(self) -> str:
        result = _TYPES[get_type_hints(self.plain)["return"]]
        return f"{result}({', '.join(_TYPES[kind] for kind in self._hints.values())})"

    @cached_property
    def digest(self) -> str:
        """Of all that its machine code depends on, but for Numba and the processor, of which Numba takes care."""
        code, known = self.plain.__code__, self.plain.__globals__
        told = [self._signature, sys.version, code.co_code.hex(), *map(repr, (code.co_consts, code.co_varnames))]
        for name in code.co_names:
            value = known.get(name)
            told.append(value.digest if isinstance(value, Kernel) else f"{name}={value!r}")
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @property
    def is_kept(self) -> bool:
        """Whether its machine code is in the cache."""
        try:
            return self._cache.is_file()
        except OSError:  # a folder that we may not read: it is as if nothing were there
            return False

    @property
    def _cache(self) -> Path:
        return cache_folder() / machinecode.maker() / f"{self.plain.__name__}-{self.digest[:20]}"

    @cached_property
    def dispatched(self) -> Any:
        """What Numba makes of it: for other kernels, which are compiled with it."""
        function = self._with({name: other.dispatched for name, other in self._others.items()})
        return machinecode.dispatched(function, self._signature)

    def _load(self, kept: bytes) -> machinecode.MachineCode | None:
        words = sum(1 if kind in (int, bool, Word) else machinecode.ARRAY_WORDS for kind in self._hints.values())
        return machinecode.loaded(self.plain.__name__, kept, words, get_type_hints(self.plain)["return"])

    def _kept(self) -> machinecode.MachineCode | None:
        try:
            return self._load(self._cache.read_bytes())
        except OSError:  # not there, or not ours to read: it is compiled
            return None

    def _compile(self) -> machinecode.MachineCode:
        kept = machinecode.encoded(self.dispatched)
        with suppress(OSError):  # a full disk, a folder that is not ours: the answer does not depend on it
            machinecode.write(self._cache, kept)
        code = self._load(kept)
        assert code is not None
        return code

    def ready(self) -> machinecode.MachineCode:
        """Its machine code: what was made before, else from the cache, else compiled."""
        if self._compiled is not None:
            return self._compiled  # without waiting for another that is being made
        with _compiling:
            if self._compiled is None:
                self._compiled = self._kept() or self._compile()
            return self._compiled


class _Compiler:
    """Has kernels compiled by a process of its own: it would take turns with all threads of this one for seconds."""

    def __init__(self) -> None:
        self._asked: WeakSet[Kernel[..., Any]] = WeakSet()  # those that are not there yet
        self._lock = Lock()
        self._running = self._more = False

    def is_at(self, wanted: Kernel[..., Any]) -> bool:
        """Whether it was asked for, and is not there yet."""
        return wanted in self._asked

    def compile(self, wanted: Kernel[..., Any]) -> None:
        """Soon, with all others that are known here. What cannot be compiled there stays interpreted."""
        with self._lock:
            self._asked.add(wanted)
            if self._running:
                self._more = True  # it may not have been known when that began
                return
            self._running = True
        Thread(target=self._run, name="kernels", daemon=True).start()

    def _run(self) -> None:
        running = True
        while running:
            _compile_elsewhere()
            with self._lock:
                self._asked = WeakSet(each for each in self._asked if not each.is_kept)
                running = self._running = self._more
                self._more = False


def _compile_elsewhere() -> None:
    """Have all kernels that are known here compiled and kept, by a process that gives way to any other."""
    named = ((each.plain.__module__, each.plain.__name__, each) for each in list(_all) if not each.is_kept)
    names = [(module, name) for module, name, each in named if vars(sys.modules[module]).get(name) is each]
    if not names:
        return
    call = f"from elixirscope.kernels import compile_named; compile_named({names!r})"
    subprocess.run(
        [sys.executable, "-c", call],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # one that cannot be compiled there is interpreted here
        check=False,
    )


def compile_named(names: list[tuple[str, str]]) -> None:
    """Compile and keep the kernels of these modules and names, giving way to any other process."""
    os.nice(_LAST)
    for module, name in names:
        getattr(import_module(module), name).ready()


_compiler = _Compiler()


def _fit(kind: str) -> Callable[[Any], bool]:
    """Whether machine code may be given something for a parameter of this type of Numba's."""
    if kind in ("int64", "uint64", "boolean"):
        return lambda given: not isinstance(given, np.ndarray)
    dtype = np.dtype(kind.removeprefix("Array(").partition("[" if kind.endswith("]") else ",")[0].replace("ean", ""))
    strided, read = "'A'" in kind, "readonly" in kind

    def fits(given: Any) -> bool:
        if not isinstance(given, np.ndarray) or given.dtype != dtype or given.ndim != 1:
            return False
        flags = given.flags
        return (strided or flags.c_contiguous) and (read or flags.writeable)

    return fits


def _told(given: object) -> str:
    if not isinstance(given, np.ndarray):
        return type(given).__name__
    return f"{given.dtype}, {'' if given.flags.writeable else 'not '}writeable"


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Make a kernel of a function over arrays, whose parameters and result are annotated with the types above."""
    made = Kernel(function)
    _all.add(made)
    return made


@contextmanager
def run(way: Way) -> Iterator[None]:
    """Have all kernels run in one way, whatever there is to do."""
    global _way
    before, _way = _way, way
    try:
        yield
    finally:
        _way = before


@contextmanager
def beside() -> Iterator[None]:
    """Have calls of this thread wait for no compiler: another process compiles; its code is used when it is there."""
    token = _beside.set(True)
    try:
        yield
    finally:
        _beside.reset(token)


def load_kept() -> None:
    """Load the machine code that is kept, and leave what that brings out of the search for garbage: for a process that
    others expect answers of."""
    if _way != "by size":
        return
    with unsearched():
        for each in list(_all):
            if each.is_kept:
                each.ready()
        gc.freeze()


def is_news(work: int) -> bool:
    """Whether so much work has kernels compiled, which no process has done on this machine: that takes some seconds."""
    return work >= ENOUGH_TO_COMPILE and not _holds_code(cache_folder() / machinecode.maker())


# Nobody loads code while the process ends: LLVM would be taken down under it.
atexit.register(_compiling.acquire, timeout=_LAST_S)


def _holds_code(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:  # not there, or not ours to read
        return False


def cache_folder() -> Path:
    """Where compiled kernels are kept: under `$XDG_CACHE_HOME`, by default `~/.cache`."""
    return user_folder("XDG_CACHE_HOME") / "kernels"
