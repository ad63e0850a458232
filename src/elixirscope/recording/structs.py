"""Structs of the standard library, and of what most applications use, that print in a form of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from elixirscope.recording.terms import Term
from elixirscope.recording.text import atom, escape

Fields: TypeAlias = "dict[Term, Term]"
Show: TypeAlias = Callable[[Term], str]

_ISO: Final = "Elixir.Calendar.ISO"


def known_struct(name: str, fields: Fields, show: Show) -> str | None:
    """Its text, None when `name` is printed as any struct or its fields are not as expected (cut, old).

    show: prints a term on one line.
    """
    form = _FORMS.get(name)
    if form is None:
        return None
    try:
        return form(fields, show)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _date(fields: Fields, _: Show) -> str:
    return f"~D[{_day(fields)}{_calendar(fields)}]"


def _time(fields: Fields, _: Show) -> str:
    return f"~T[{_clock(fields)}{_calendar(fields)}]"


def _naive(fields: Fields, _: Show) -> str:
    return f"~N[{_day(fields)} {_clock(fields)}{_calendar(fields)}]"


def _datetime(fields: Fields, _: Show) -> str:
    shift = _int(fields, "utc_offset") + _int(fields, "std_offset")
    zone = fields["time_zone"].decode("utf-8")
    start, end = f"{_day(fields)} {_clock(fields)}", _calendar(fields)
    if shift == 0 and zone == "Etc/UTC":
        return f"~U[{start}Z{end}]"
    sign, minutes = "-" if shift < 0 else "+", abs(shift) // 60
    offset = f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    names = escape(f"{fields['zone_abbr'].decode('utf-8')} {zone}", '"')
    return f"#DateTime<{start}{offset} {names}{end}>"


def _range(fields: Fields, _: Show) -> str:
    first, last, step = (_int(fields, name) for name in ("first", "last", "step"))
    return f"{first}..{last}" if step == 1 else f"{first}..{last}//{step}"


def _date_range(fields: Fields, show: Show) -> str:
    step = _int(fields, "step")
    both = f"{show(fields['first'])}, {show(fields['last'])}"
    return f"Date.range({both})" if step == 1 else f"Date.range({both}, {step})"


def _decimal(fields: Fields, _: Show) -> str:
    sign, digits, exponent = _int(fields, "sign"), fields["coef"], _int(fields, "exp")
    if not isinstance(digits, int):  # :inf and :NaN
        return (
            f'Decimal.new("{"-" if sign < 0 and digits == "inf" else ""}{"Infinity" if digits == "inf" else digits}")'
        )
    text = str(digits)
    if 0 < -exponent <= len(text) + 5:  # as Decimal.to_string/1 chooses between plain and scientific
        text = text.rjust(1 - exponent, "0")
        text = f"{text[:exponent]}.{text[exponent:]}"
    elif exponent != 0:
        power = exponent + len(text) - 1
        text = f"{text[0]}{'.' + text[1:] if len(text) > 1 else ''}E{power:+}"
    return f'Decimal.new("{"-" if sign < 0 else ""}{text}")'


def _not_loaded(fields: Fields, _: Show) -> str:
    return f"#Ecto.Association.NotLoaded<association {atom(fields['__field__'])} is not loaded>"


def _metadata(fields: Fields, show: Show) -> str:
    return f"#Ecto.Schema.Metadata<{show(fields['state'])}, {show(fields['source'])}>"


def _map_set(fields: Fields, show: Show) -> str:
    return f"MapSet.new({show([key for key, _ in fields['map'].items()])})"


def _regex(fields: Fields, show: Show) -> str:
    source, options = fields["source"].decode("utf-8"), fields["opts"]
    modifiers = _modifiers(options) if isinstance(options, list) else options.decode("ascii")
    if modifiers is None:
        return f"Regex.compile!({show(fields['source'])}, {show(options)})"
    # Backslashes are the pattern's own: only slashes and control characters are escaped.
    slashed = re.sub(r"\\\\|\\?/", lambda found: found[0] if found[0] == r"\\" else r"\/", source)
    escaped = slashed.translate(_REGEX_ESCAPES).replace("#{", "\\#{")
    return f"~r/{escaped}/{escape(modifiers, '/')}"


def _modifiers(options: list[Term]) -> str | None:
    """The letters that stand for these options, which Elixir has kept in place of them since 1.15; None for others."""
    letters, at = "", 0
    while at < len(options):
        for size in (2, 1):
            letter = _MODIFIERS.get(tuple(options[at : at + size]))
            if letter is not None:
                break
        else:
            return None
        letters = letter + letters
        at += size
    return letters


def _day(fields: Fields) -> str:
    year, month, day = (_int(fields, name) for name in ("year", "month", "day"))
    return f"{'-' if year < 0 else ''}{abs(year):04}-{month:02}-{day:02}"


def _clock(fields: Fields) -> str:
    hour, minute, second = (_int(fields, name) for name in ("hour", "minute", "second"))
    micro, precision = fields["microsecond"]
    fraction = f".{micro:06}"[: precision + 1] if precision else ""
    return f"{hour:02}:{minute:02}:{second:02}{fraction}"


def _calendar(fields: Fields) -> str:
    calendar = fields["calendar"]
    return "" if calendar == _ISO else f" {atom(calendar)}"


def _int(fields: Fields, name: str) -> int:
    value = fields[name]
    if not isinstance(value, int):
        raise TypeError(name)
    return value


_REGEX_ESCAPES: Final = {
    **{code: f"\\x{code:02X}" for code in (*range(32), *range(0x7F, 0xA0))},
    7: "\\a",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
}
_MODIFIERS: Final[dict[tuple[Term, ...], str]] = {
    ("dotall", ("newline", "anycrlf")): "s",
    ("unicode", "ucp"): "u",
    ("caseless",): "i",
    ("extended",): "x",
    ("firstline",): "f",
    ("ungreedy",): "U",
    ("multiline",): "m",
    ("export",): "E",
}
_FORMS: Final[dict[str, Callable[[Fields, Show], str]]] = {
    "Elixir.Date": _date,
    "Elixir.Time": _time,
    "Elixir.NaiveDateTime": _naive,
    "Elixir.DateTime": _datetime,
    "Elixir.Range": _range,
    "Elixir.Date.Range": _date_range,
    "Elixir.MapSet": _map_set,
    "Elixir.Regex": _regex,
    "Elixir.Decimal": _decimal,
    "Elixir.Ecto.Association.NotLoaded": _not_loaded,
    "Elixir.Ecto.Schema.Metadata": _metadata,
}
