"""Elixir literals in pictures: text → terms."""

from __future__ import annotations

import re
from collections.abc import Callable

from elixirscope.errors import UsageError
from elixirscope.recording.terms import FALSE, NIL, TRUE, Atom, Term, make_map


class PictureError(UsageError):
    """A picture that cannot be read."""

    slug = "pictures"


_SPACE = re.compile(r"\s*")
_MODULE = re.compile(r"[A-Z]\w*(?:\.[A-Z]\w*)*")
_ATOM = re.compile(r":([A-Za-z_]\w*(?:@\w+)*[?!]?|[-+*/<>=!]+)")
_NUMBER = re.compile(r"-?\d[\d_]*(?:\.\d[\d_]*(?:[eE][-+]?\d+)?)?")
_WORD = re.compile(r"[a-z_]\w*[?!]?")
_KEY = re.compile(r"([A-Za-z_]\w*[?!]?):\s")
_REF = re.compile(r"#(\w+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FUNCTION = re.compile(r"(?:([A-Z]\w*(?:\.[A-Z]\w*)*)|:([a-z]\w*))\.([a-z_]\w*[?!]?|\"[^\"]*\")")
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "0": "\0", "e": "\x1b"}

Named = Callable[[str], Term]


class Reader:
    """Reads literals and words from one statement, left to right.

    `process` turns a bare word into the pid of the process of that name, `reference` makes the reference `#name`.
    """

    def __init__(self, text: str, process: Named, reference: Named) -> None:
        self.text = text
        self.at = 0
        self._process = process
        self._reference = reference

    def done(self) -> bool:
        self._skip()
        return self.at >= len(self.text)

    def fail(self, wanted: str) -> PictureError:
        rest = self.text[self.at :]
        return PictureError(
            f"expected {wanted} at {rest!r} in the statement {self.text!r}",
            "docs/pictures.md lists every statement",
        )

    def word(self, *choices: str) -> bool:
        """Takes the word or sign if it is next."""
        self._skip()
        for choice in choices:
            end = self.at + len(choice)
            if self.text.startswith(choice, self.at) and not (
                choice[-1].isalnum() and self.text[end : end + 1].isalnum()
            ):
                self.at = end
                return True
        return False

    def expect(self, *choices: str) -> None:
        if not self.word(*choices):
            raise self.fail(" or ".join(repr(choice) for choice in choices))

    def name(self) -> str:
        """A bare word: a process, a frame, a variable."""
        return self._take(_WORD, "a name").group()

    def string(self) -> str:
        return _unescape(self._take(_STRING, "a string").group(1))

    def module(self) -> Atom:
        return Atom("Elixir." + self._take(_MODULE, "a module").group())

    def number(self) -> int:
        return int(self._take(_NUMBER, "a number").group())

    def function(self) -> tuple[Atom, Atom]:
        """`Mod.fun` or `:mod.fun`."""
        match = self._take(_FUNCTION, "a function such as Shop.Cart.add")
        elixir, erlang, name = match.groups()
        return Atom(f"Elixir.{elixir}" if elixir else erlang), Atom(name.strip('"'))

    def pattern(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        return self._take(pattern, wanted)

    def value(self) -> Term:
        """One literal."""
        self._skip()
        text, at = self.text, self.at
        if text.startswith("%", at):
            return self._map()
        if text.startswith("{", at):
            self.at += 1
            return tuple(self.values("}"))
        if text.startswith("[", at):
            self.at += 1
            return self.values("]")
        if text.startswith('"', at):
            return self.string().encode()
        if text.startswith(':"', at):
            self.at += 1
            return Atom(self.string())
        if match := _ATOM.match(text, at):
            self.at = match.end()
            return Atom(match.group(1))
        if match := _NUMBER.match(text, at):
            self.at = match.end()
            digits = match.group().replace("_", "")
            return float(digits) if "." in digits else int(digits)
        if match := _REF.match(text, at):
            self.at = match.end()
            return self._reference(match.group(1))
        if _MODULE.match(text, at):
            return self.module()
        word = self._take(_WORD, "a literal").group()
        return {"nil": NIL, "true": TRUE, "false": FALSE}.get(word) or self._process(word)

    def values(self, close: str) -> list[Term]:
        """Literals, or `key: literal` pairs, up to `close`."""
        found: list[Term] = []
        while not self.word(close):
            if found:
                self.expect(",")
            self._skip()
            key = _KEY.match(self.text, self.at)
            if key:
                self.at = key.end()
                found.append((Atom(key.group(1)), self.value()))
            else:
                found.append(self.value())
        return found

    def _map(self) -> Term:
        self.at += 1
        pairs: list[tuple[Term, Term]] = []
        if not self.text.startswith("{", self.at):
            pairs.append((Atom("__struct__"), self.module()))
        self.expect("{")
        first = True
        while not self.word("}"):
            if not first:
                self.expect(",")
            first = False
            self._skip()
            key = _KEY.match(self.text, self.at)
            if key:
                self.at = key.end()
                pairs.append((Atom(key.group(1)), self.value()))
            else:
                left = self.value()
                self.expect("=>")
                pairs.append((left, self.value()))
        return make_map(pairs)

    def _take(self, pattern: re.Pattern[str], wanted: str) -> re.Match[str]:
        self._skip()
        match = pattern.match(self.text, self.at)
        if match is None:
            raise self.fail(wanted)
        self.at = match.end()
        return match

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(1)), text)
