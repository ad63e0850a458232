"""How Elixir writes atoms, strings and numbers, with everything that could mislead a reader escaped.

Recorded text is hostile: no control character, terminal escape or text-direction override gets through.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_ESCAPES: Final = {
    0: "\\0",
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    27: "\\e",
    92: "\\\\",
    127: "\\d",
    0xFEFF: "\\uFEFF",
    # Invisible marks and overrides of text direction (Unicode TR 36)
    **{code: f"\\u{code:04X}" for code in (0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))},
    **{code: f"\\x{code:02X}" for code in (*range(1, 7), *range(14, 27), *range(28, 32), *range(0x80, 0xA0))},
    **{code: f"\\x{{{code:04X}}}" for code in (0xFFFE, 0xFFFF)},
}
_NAMES: Final = 4096  # atoms whose text is kept: a recording has few, again and again
_UNPRINTABLE = re.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f\x80-\x9f\ufffe\uffff]")
_ASCII_PRINTABLE: Final = frozenset((*range(32, 127), 7, 8, 9, 10, 11, 12, 13, 27))
_ALIAS = re.compile(r"Elixir(\.[A-Z][A-Za-z0-9_]*)*")

# Atoms that need no quotes although they are no identifiers; the others of punctuation do.
_SYMBOLS: Final = "% %{} {} <<>> ... .. . ..// -> & ! ^ + - @ <- \\\\ | = || ||| && &&& == != =~ === !== < <= >= > |>"
_ARROWS: Final = "<<< >>> <~ ~> <<~ ~>> <~> // ++ -- <> +++ --- * / **"
_OPERATORS: Final = frozenset(f"{_SYMBOLS} {_ARROWS}".split())
_QUOTED_CALLS: Final = frozenset(("%", "%{}", "{}", "<<>>", "...", "..", ".", "..//", "->"))


def escape(text: str, quote: str) -> str:
    """`text` as it stands between two `quote`s in Elixir source."""
    escaped = text.translate(_ESCAPES).replace(quote, "\\" + quote)
    return escaped.replace("#{", "\\#{")


def string(data: bytes) -> str | None:
    """A binary as a string literal, None when Elixir would not print it as one."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _UNPRINTABLE.search(text) else f'"{escape(text, chr(34))}"'


def binary(data: bytes, last: str = "") -> str:
    """A binary as `<<1, 2>>`; last: an element after its bytes."""
    parts = [str(byte) for byte in data]
    return f"<<{', '.join([*parts, last] if last else parts)}>>"


def charlist(items: list[object]) -> str | None:
    """A list as `~c"abc"`, None when Elixir would not print it as one."""
    if not items or not all(type(item) is int and item in _ASCII_PRINTABLE for item in items):
        return None
    return f'~c"{escape("".join(map(chr, items)), chr(34))}"'  # type: ignore[arg-type]


@lru_cache(_NAMES)
def atom(name: str) -> str:
    """An atom as a literal: `:ok`, `nil`, `Foo.Bar`, `:"with space"`."""
    if name in ("nil", "true", "false", "Elixir", "Elixir.Elixir"):
        return str(name)
    if _ALIAS.fullmatch(name):
        return str(name) if name.startswith("Elixir.Elixir.") else name.removeprefix("Elixir.")
    return f":{name}" if _unquoted(name) else f':"{escape(name, chr(34))}"'


@lru_cache(_NAMES)
def key(name: str) -> str:
    """An atom as a key: `ok:`, `"with space":`."""
    return f"{name}:" if _unquoted(name) and not _ALIAS.fullmatch(name) else f'"{escape(name, chr(34))}":'


def function(name: str) -> str:
    """An atom as the name in `Mod.name`."""
    if name in _QUOTED_CALLS or not _unquoted(name) or name[:1].isupper() or "@" in name[1:]:
        return f'"{escape(name, chr(34))}"'
    return str(name)


def _unquoted(name: str) -> bool:
    if name in _OPERATORS:
        return True
    body = name[:-1] if name[-1:] in ("?", "!") else name
    plain = body[:1] != "@" and body.replace("@", "_").isidentifier()
    return plain and (name.isascii() or unicodedata.is_normalized("NFKC", name))


def integer(number: int) -> str:
    """A decimal integer; one of thousands of digits in hexadecimal, which Python can still write."""
    return str(number) if number.bit_length() < 14_000 else hex(number)


def floating(number: float) -> str:
    """A float in the fewest digits that read back as it, as `float_to_list(F, [short])` chooses."""
    if abs(number) >= 1.0 and abs(number) < 1.0e16 and number.is_integer():
        return f"{int(number)}.0"
    sign = "-" if str(number).startswith("-") else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0.0"
    power = int(exponent or 0) + len(whole) - 1 - leading  # of the first digit
    scientific = f"{digits[0]}.{digits[1:] or '0'}e{power}"
    if power >= 16:
        return sign + scientific
    if power >= 0:
        padded = digits.ljust(power + 2, "0")
        plain = f"{padded[: power + 1]}.{padded[power + 1 :]}"
    else:
        plain = f"0.{'0' * (-power - 1)}{digits}"
    return sign + (plain if len(plain) <= len(scientific) else scientific)
