"""Terms as a real Erlang VM writes them and Elixir prints them."""

from __future__ import annotations

import base64
import random
import subprocess
from pathlib import Path

import pytest

from elixirscope.recording import etf
from elixirscope.recording.terms import Atom, Bitstring, ImproperList, Term, inspect, make_map

pytestmark = pytest.mark.beam

# Reads one base64 term a line; answers, for each, how it is written here and how it is printed.
ECHO = r"""
options = [limit: :infinity, printable_limit: :infinity, charlists: :as_lists]
answer = fn term, written ->
  text = inspect(term, options)
  IO.puts(Base.encode64(written) <> " " <> Base.encode64(text))
end
[mode | rest] = System.argv()
case mode do
  "echo" ->
    for line <- IO.stream(:stdio, :line) do
      term = line |> String.trim() |> Base.decode64!() |> :erlang.binary_to_term()
      answer.(term, :erlang.term_to_binary(term))
    end
  "own" ->
    {terms, _} = Code.eval_string(hd(rest))
    for term <- terms do
      answer.(term, :erlang.term_to_binary(term))
      answer.(term, :erlang.term_to_binary(term, [:compressed]))
    end
end
"""

OWN = r"""
[
  self(), make_ref(), hd(Port.list()), &Enum.map/2, :erlang.list_to_pid(~c"<0.1.2>"),
  ~D[2026-03-09], ~D[-0099-01-31], ~T[07:05:01.120], ~T[00:00:00], ~N[2026-03-09 07:05:01.000001],
  ~U[2026-03-09 07:05:01Z],
  %DateTime{year: 2000, month: 2, day: 29, zone_abbr: "CET", hour: 23, minute: 0, second: 7,
            microsecond: {0, 0}, utc_offset: -3600, std_offset: 0, time_zone: "Europe/Warsaw"},
  1..3, 3..1//-1, 1..9//2, MapSet.new([:b, 1, "c"]), MapSet.new(),
  ~r/a\/b\\\/#{"#"}{x}/iu, ~r/é\n/, ~r/a/imsxfU, Regex.compile!("a/b\n"),
  %ArgumentError{message: "no"}, %RuntimeError{message: nil},
  %{__struct__: :odd, a: 1},
  1.0, -0.0, 0.1, 1.0e15, 1.0e16, 9007199254740993.0, 1.0e22, 5.0e-324, 1.7976931348623157e308, 0.001, 1.0e-5,
  :"", :"with space", :"Elixir.Foo.bar", Foo, Elixir, :Foo, :a@b, :ok?, :"ok?!", :+, :"::", :.., :"..//", :%{}, :{},
  :->,
  :été, :"a\nb", nil, true, :"nil ", [nil: 1, a: 2], [{Foo, 1}], [{:a, 1}, :b], %{nil => 1, "x" => 2}, %{Foo => 1},
  "tab\t\e\d\0", "é#{"#"}{x}\\\"", <<255>>, <<1, 2, 3::3>>, <<1::1>>, "", "\uFEFF", <<0xFFFE::utf8>>,
  [1 | 2], [[] | :a], {}, {{}}, [[]], %{[1] => 2}, %{1 => :a, 1.0 => :b}, 1_000_000_000_000_000_000_000, -1, 255, 256,
  :erlang.bsl(1, 9000), List.duplicate({:a, "b"}, 300), List.to_tuple(Enum.to_list(1..300))
]
"""


def ask(script: Path, *arguments: str, lines: str = "") -> list[tuple[bytes, str]]:
    command = ["elixir", str(script), *arguments]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=True)
    pairs = (line.split(" ") for line in done.stdout.splitlines())
    return [(base64.b64decode(written), base64.b64decode(text).decode()) for written, text in pairs]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "terms.exs"
    path.write_text(ECHO)
    return path


def test_elixirs_own_terms_print_as_elixir_prints_them(script: Path) -> None:
    answers = ask(script, "own", OWN)
    assert len(answers) > 150
    for written, text in answers:
        assert inspect(etf.decode(written), limit=10**6) == text


def test_any_term_survives_the_way_there_and_back(script: Path) -> None:
    chance = random.Random(20260309)
    terms = [any_term(chance, 4) for _ in range(2000)]
    lines = "".join(base64.b64encode(etf.encode(term)).decode() + "\n" for term in terms)
    answers = ask(script, "echo", lines=lines)
    assert len(answers) == len(terms)
    for term, (written, text) in zip(terms, answers, strict=True):
        assert etf.decode(written) == term
        assert inspect(etf.decode(written), limit=10**6) == text


def any_term(chance: random.Random, depth: int) -> Term:
    """A random term; its integers are no printable characters, so that no list is a charlist."""
    scalars = 6
    choice = chance.randrange(scalars + 4) if depth else chance.randrange(scalars)
    size = chance.randrange(4)
    if choice == 0:
        return Atom("".join(chance.choices('abzAZ09_@?! .é:+<>\n"', k=size * 2)))
    if choice == 1:
        return chance.choice([0, 3, 200, -1, -(2**31), 2**31, 2**70, -(2**2050)])
    if choice == 2:
        return chance.choice([chance.random(), chance.uniform(-1e18, 1e18), 10.0 ** chance.randint(-300, 300)])
    if choice == 3:
        return chance.randbytes(size * 3)
    if choice == 4:
        return "".join(chance.choices('abc #{}\\"\n\t\x1b\x7fé€😀', k=size * 3)).encode()
    if choice == 5:
        return Bitstring(bytes([1, chance.randrange(256) & 0xE0]), 3)
    items = [any_term(chance, depth - 1) for _ in range(size)]
    if choice == 6:
        return items
    if choice == 7:
        return tuple(items)
    if choice == 8:
        pairs = {etf.encode(item): (item, any_term(chance, depth - 1)) for item in items}
        return make_map(list(pairs.values()))
    return ImproperList(items, Atom("tail")) if items else items
