"""What a processor does at once and Numba has no name for, for kernels that are only ever compiled to call."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from elixirscope.kernels import I64, U8, U64, Bytes, Kernel, Word


class Instruction(Kernel[..., Any]):
    """Code that is put where it is called: `emit` is given Numba's context, an LLVM builder and the arguments."""

    def __init__(self, function: Callable[..., Any], emit: Callable[..., Any], *types: str) -> None:
        """`types`: of the result, then of the parameters; `array` for whichever it is given."""
        super().__init__(function)
        self._emit = emit
        self._types = types

    @cached_property
    def digest(self) -> str:
        return repr((self.plain.__name__, self._types))

    @cached_property
    def dispatched(self) -> Any:
        from numba import types
        from numba.core import typing as numba_typing
        from numba.extending import intrinsic

        typing: Any = numba_typing  # mypy would have it typed
        known = {"word": types.uint64, "int": types.int64, "none": types.none}

        def typed(*given: Any) -> Any:
            result, *wanted = self._types
            parameters = [known.get(name, own) for name, own in zip(wanted, given, strict=True)]
            return typing.signature(known[result], *parameters), self._emit

        def two(typingctx: Any, one: Any, other: Any) -> Any:
            return typed(one, other)

        def five(typingctx: Any, one: Any, two: Any, three: Any, four: Any, five: Any) -> Any:
            return typed(one, two, three, four, five)

        def six(typingctx: Any, one: Any, two: Any, three: Any, four: Any, five: Any, six: Any) -> Any:
            return typed(one, two, three, four, five, six)

        return intrinsic({2: two, 5: five, 6: six}[len(self._types) - 1])


def _at(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    """Where in the memory an element of an array is."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


def _load(width: int, context: Any, builder: Any, sig: Any, args: Any) -> Any:
    from llvmlite import ir

    place = _at(context, builder, sig.args[0], *args)
    loaded = builder.load(builder.bitcast(place, ir.IntType(width).as_pointer()))
    loaded.align = 1
    return builder.zext(loaded, ir.IntType(64)) if width < 64 else loaded


def _multiply(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    from llvmlite import ir

    wide = ir.IntType(128)
    product = builder.mul(*(builder.zext(number, wide) for number in args))
    return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))


def _move(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    from numba.core import cgutils as numba_cgutils

    cgutils: Any = numba_cgutils
    into, to, data, at, size = args
    target = _at(context, builder, sig.args[0], into, to)
    cgutils.raw_memcpy(builder, target, _at(context, builder, sig.args[2], data, at), size, 1)
    return context.get_dummy_value()


def _add_stripes(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    from llvmlite import ir
    from numba.core import cgutils as numba_cgutils

    cgutils: Any = numba_cgutils
    sums, data, at, secret, key, count = args
    whole = ir.IntType(64)
    lanes = ir.VectorType(whole, 8)

    def same(number: int) -> Any:
        return ir.Constant(lanes, [number] * 8)

    def vector(kind: Any, array: Any, place: Any) -> Any:
        return builder.bitcast(_at(context, builder, kind, array, place), lanes.as_pointer())

    def load(pointer: Any) -> Any:
        loaded = builder.load(pointer)
        loaded.align = 1
        return loaded

    where = vector(sig.args[0], sums, ir.Constant(whole, 0))
    sum_ = cgutils.alloca_once_value(builder, load(where))
    with cgutils.for_range(builder, count, intp=whole) as loop:
        stripe = load(vector(sig.args[1], data, builder.add(at, builder.mul(loop.index, ir.Constant(whole, 64)))))
        keyed = builder.xor(
            stripe, load(vector(sig.args[3], secret, builder.add(key, builder.mul(loop.index, ir.Constant(whole, 8)))))
        )
        product = builder.mul(builder.and_(keyed, same(0xFFFFFFFF)), builder.lshr(keyed, same(32)))
        turned = builder.shuffle_vector(
            stripe, stripe, ir.Constant(ir.VectorType(ir.IntType(32), 8), [1, 0, 3, 2, 5, 4, 7, 6])
        )
        builder.store(builder.add(builder.load(sum_), builder.add(product, turned)), sum_)
    builder.store(builder.load(sum_), where).align = 1
    return context.get_dummy_value()


def _prefetch(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    from llvmlite import ir

    byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
    function = builder.module.declare_intrinsic("llvm.prefetch", (byte,), kind)
    place = builder.bitcast(_at(context, builder, sig.args[0], *args), byte)
    builder.call(function, [place, *(ir.Constant(whole, how) for how in (0, 3, 1))])  # to read, and keep near: data
    return context.get_dummy_value()


def _word(data: Bytes, at: int) -> Any:
    """The word of the eight bytes from `at` on, little endian"""


def _half(data: Bytes, at: int) -> Any:
    """… of four bytes"""


def _high_half(one: Word, other: Word) -> Any:
    """The upper half of the product of two words"""


def _copy(into: U8, to: int, data: Bytes, at: int, size: int) -> Any:
    """Copy the `size` bytes from `at` on"""


def _stripes(sums: U64, data: Bytes, at: int, secret: Bytes, key: int, count: int) -> Any:
    """Add `count` stripes of 64 bytes to the eight sums of XXH3, eight bytes of the secret after the other"""


def _soon(table: I64, at: int) -> Any:
    """An element will be asked for soon"""


word = Instruction(_word, partial(_load, 64), "word", "array", "int")
half = Instruction(_half, partial(_load, 32), "word", "array", "int")
high_half = Instruction(_high_half, _multiply, "word", "word", "word")
copy_bytes = Instruction(_copy, _move, "none", "array", "int", "array", "int", "int")
add_stripes = Instruction(_stripes, _add_stripes, "none", "array", "array", "int", "array", "int", "int")
soon = Instruction(_soon, _prefetch, "none", "array", "int")
