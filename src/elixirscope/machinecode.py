"""Machine code of functions over arrays: made by Numba, kept in files, loaded and called without Numba.

To import Numba and to have it load what it made takes most of a second; LLVM alone loads all that a large recording
needs in some milliseconds. What is kept is an object file and the name of its function, which is called as Numba's
own code calls it: where the result goes, where an exception goes, then of each array seven words (two owners, which
nobody has here; how many elements, their size, where the first is, the shape and the step) and of each number one.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import numpy as np

ARRAY_WORDS: Final = 7
_CALLS: Final = 1  # how functions are called and kept, of which the above tells
_RETURNED: Final = (0, -2)  # what the function says of itself: a value, or None
_NOTHING: Final = ctypes.c_char * 0
_OPTIONS: Final = {"nopython": True, "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


class MachineCode:
    """A function in memory, to be called with arrays and numbers of the types it was compiled for: nobody looks."""

    def __init__(self, name: str, address: int, words: int, result: type) -> None:
        """`words`: of all parameters."""
        kinds = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * words]
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)
        self._name, self._result = name, result

    def __call__(self, *args: Any) -> Any:
        words: list[int] = []
        for each in args:
            if isinstance(each, np.ndarray):
                words += (0, 0, each.size, each.itemsize, _address(each), each.size, each.strides[0])
            else:
                words.append(int(each))
        result, raised = ctypes.c_int64(), ctypes.c_void_p()
        # Without Python's lock, as ctypes calls
        outcome = self._function(ctypes.addressof(result), ctypes.addressof(raised), *words)
        if outcome not in _RETURNED:
            raise ArithmeticError(f"the kernel {self._name} ended with an exception ({outcome})")
        return None if self._result is type(None) else self._result(result.value)


def _address(array: np.ndarray[Any, Any]) -> int:
    """Where an array begins. NumPy's own `ctypes.data` takes as long as a small kernel."""
    flags = array.flags
    if flags.c_contiguous and flags.writeable:
        return ctypes.addressof(_NOTHING.from_buffer(array.data))
    return int(array.ctypes.data)


def dispatched(function: Callable[..., Any], signature: str) -> Any:
    """What Numba makes of a function: to be kept, or called by another that is compiled. It may not allocate."""
    import numba
    from numba import types

    jit: Any = numba.jit
    return jit(eval(signature, {**vars(types)}), **_OPTIONS)(function)


def encoded(compiled: Any) -> bytes:
    """What there is to keep of it: a digest of the rest, the name of its function, an object file."""
    import llvmlite.binding as llvm

    (made,) = compiled.overloads.values()
    (text,) = compiled.inspect_llvm().values()
    module = llvm.parse_assembly(text)
    for each in (*module.functions, *module.global_variables):
        if each.name == made.fndesc.llvm_func_name:
            each.name = name = f"kernel_{hashlib.sha256(text.encode()).hexdigest()}"
        elif not each.is_declaration:
            each.linkage = "internal"  # code of two versions may come together
    body: bytes = name.encode() + b"\n" + _target().emit_object(module)
    return hashlib.sha256(body).digest() + body


def loaded(name: str, kept: bytes, words: int, result: type) -> MachineCode | None:
    """The function of what was kept; None when it is not whole."""
    import llvmlite.binding as llvm

    digest, body = kept[:32], kept[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    symbol, _, code = body.partition(b"\n")
    _engine().add_object_file(llvm.ObjectFileRef.from_data(code))
    _engine().finalize_object()
    return MachineCode(name, _engine().get_function_address(symbol.decode()), words, result)


def write(path: Path, kept: bytes) -> None:
    """Put it there, whole or not at all, whoever else does the same. Raises `OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        new = Path(file.name)
        try:
            file.write(kept)
            file.close()
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise


@cache
def maker() -> str:
    """Who makes machine code, and for which processor: what another made, or for another, is not ours."""
    import llvmlite.binding as llvm

    processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    told = (_CALLS, version("numba"), version("llvmlite"), llvm.get_process_triple(), processor)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:20]


@cache
def _target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True, reloc="default", codemodel="jitdefault"
    )


@cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
