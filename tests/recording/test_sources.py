"""Source files kept with a recording, and file names that must not lead astray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elixirscope.recording.format import META_SHARD, FrameType
from elixirscope.recording.sources import MAX_BYTES, copy_sources, read_source
from elixirscope.recording.terms import Atom, Term
from tests.recording.samples import writer_of


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    (tmp_path / "r" / "raw").mkdir(parents=True)
    return tmp_path / "r"


def name_files(recording: Path, *files: Path | str, name: str = "meta") -> None:
    """Have the recording's sites name `files`, as the agent would."""
    with writer_of(recording / "raw", name, META_SHARD) as meta:
        for number, file in enumerate(files, start=1):
            site: Term = (number, Atom("function"), Atom("f"), 0, 1, [], {})
            meta.term(FrameType.SITES, (Atom("Elixir.M"), {Atom("file"): str(file).encode()}, [site]))
        meta.end()


def test_sources_are_kept_as_they_were(recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "seats.ex"
    file.write_bytes("defmodule É do\r\n  \u2028 one line\n\nend\n".encode())
    name_files(recording, file, file)
    copy_sources(recording)
    file.write_text("changed")
    assert read_source(recording, str(file)) == ["defmodule É do", "  \u2028 one line", "", "end"]


def test_what_was_copied_first_stays(recording: Path, tmp_path: Path) -> None:
    file, later = tmp_path / "a.ex", tmp_path / "b.ex"
    file.write_text("as compiled")
    name_files(recording, file, later)
    copy_sources(recording)
    file.write_text("edited since")
    later.write_text("came later")
    copy_sources(recording)
    assert read_source(recording, str(file)) == ["as compiled"]
    assert read_source(recording, str(later)) == ["came later"]


def test_while_it_is_recorded_those_named_so_far_are_kept(recording: Path, tmp_path: Path) -> None:
    early, late = tmp_path / "a.ex", tmp_path / "b.ex"
    early.write_text("as compiled")
    late.write_text("as well")
    name_files(recording, early, late)
    copy_sources(recording, [str(early)])
    assert read_source(recording, str(early)) == ["as compiled"]
    assert read_source(recording, str(late)) is None
    early.write_text("edited since")
    copy_sources(recording)
    assert read_source(recording, str(early)) == ["as compiled"]
    assert read_source(recording, str(late)) == ["as well"]


def test_a_template_named_by_a_site_is_kept(recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.heex"
    file.write_text("<p>")
    with writer_of(recording / "raw", "meta", META_SHARD) as meta:
        site: Term = (1, Atom("function"), Atom("f"), 0, 1, [], {Atom("file"): str(file).encode()})
        meta.term(FrameType.SITES, (Atom("Elixir.M"), {}, [site]))
        meta.end()
    copy_sources(recording)
    assert read_source(recording, str(file)) == ["<p>"]


def test_what_is_not_copied_says_why(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "large.ex").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "id_rsa").write_text("secret")
    (tmp_path / "folder.ex").mkdir()
    names = ["large.ex", "id_rsa", "folder.ex", "missing.ex"]
    name_files(
        recording, *(tmp_path / name for name in names), "relative.ex", "/nul\0byte.ex", "/" + "x" * 5000 + ".ex"
    )
    copy_sources(recording)
    index = json.loads((recording / "sources" / "index.json").read_text())
    why = {Path(file).name[-20:]: entry["refused"] for file, entry in index.items()}
    assert why["large.ex"] == "it is larger than 2,097,152 bytes"
    assert why["id_rsa"] == why["relative.ex"] == "it is not a source file"
    assert why["folder.ex"] == why["missing.ex"] == "there is no such file"
    assert len(why) == 7
    assert all(read_source(recording, file) is None for file in index)


def test_nothing_outside_the_recording_is_read(recording: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ex"
    secret.write_text("secret")
    sources = recording / "sources"
    sources.mkdir()
    linked = "0" * 32
    (sources / linked).symlink_to(secret)
    index = {"up": {"copy": "../../secret.ex"}, "absolute": {"copy": str(secret)}, "linked": {"copy": linked}}
    (sources / "index.json").write_text(json.dumps(index))
    assert [read_source(recording, name) for name in (*index, str(secret), "none")] == [None] * 5


def test_a_damaged_index_is_no_sources(recording: Path, tmp_path: Path) -> None:
    (recording / "sources").mkdir()
    (recording / "sources" / "index.json").write_text('{"a": 3}')
    assert read_source(recording, "a") is None


def test_a_recording_without_sites_gets_no_folder(recording: Path) -> None:
    copy_sources(recording)
    assert not (recording / "sources").exists()
