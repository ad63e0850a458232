"""A recording in one file: the same answers in place, by HTTP ranges, and nothing outside when it is unpacked."""

from __future__ import annotations

import http.server
import random
import re
import stat
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import elixirscope
from elixirscope.errors import ElixirScopeError, EnvironmentProblem, RecordingError
from elixirscope.pictures import record
from elixirscope.recording.pack import pack, unpack
from elixirscope.recording.packed import Pack
from elixirscope.recording.schema import TABLES
from tests.conftest import Run
from tests.dags.drawn import SALE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn sale, sealed."""
    path = record(SALE, tmp_path_factory.mktemp("pack") / "sale.scope")
    elixirscope.open(path)
    return path


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    """The same as a pack."""
    target = folder.with_suffix(".scopez")
    pack(folder, target)
    return target


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_pack_answers_as_the_folder_does(folder: Path, packed: Path) -> None:
    one, other = elixirscope.open(folder), elixirscope.open(packed)
    for name in TABLES:
        assert other.table(name).equals(one.table(name))
    assert other.state("Seats").text == one.state("Seats").text
    assert other.search('"A1"') == one.search('"A1"')
    assert other.info.events == one.info.events
    assert other.info.coverage == one.info.coverage
    assert not [path for path in packed.parent.iterdir() if path.suffix not in (".scope", ".scopez")]


def test_what_is_stored_lies_aligned_and_the_same_recording_makes_the_same_pack(folder: Path, packed: Path) -> None:
    data = packed.read_bytes()
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        for member in archive.infolist():
            name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
            assert (member.header_offset + 30 + name + extra) % 64 == 0
            assert member.compress_type == (8 if member.filename.startswith("raw/") else 0)
    again = packed.with_name("again.scopez")
    pack(folder, again)
    assert again.read_bytes() == data
    again.unlink()
    with pytest.raises(EnvironmentProblem, match="there already"):
        pack(folder, packed)


def test_a_pack_of_another_version_is_read_from_its_raw_files(folder: Path, tmp_path: Path) -> None:
    unsealed = tmp_path / "old.scope"
    unpack_source = tmp_path / "old.scopez"
    pack(folder, unpack_source)
    unpack(unpack_source, unsealed)
    for path in (unsealed / "segments").iterdir():
        path.unlink()
    (unsealed / "segments").rmdir()
    bare = tmp_path / "bare.scopez"
    pack(unsealed, bare)
    rec = elixirscope.open(bare)
    assert rec.table("calls").equals(elixirscope.open(folder).table("calls"))
    (told,) = [gap.reason for gap in rec.info.coverage if gap.subject == "segments"]
    assert "`elixirscope unpack` it" in told


def test_unpacking_gives_every_file_back(folder: Path, packed: Path, tmp_path: Path) -> None:
    count = unpack(packed, tmp_path / "back.scope")
    found = files(tmp_path / "back.scope")
    assert len(found) == count
    original = files(folder)
    assert found == {name: original[name] for name in found}
    assert {name for name in original if name.startswith(("raw/", "segments/"))} <= found.keys()
    with pytest.raises(EnvironmentProblem, match="there already"):
        unpack(packed, tmp_path / "back.scope")


def crafted(path: Path, *members: tuple[str, bytes] | zipfile.ZipInfo) -> Path:
    """A zip of these members, beside a raw file as every pack has one."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("raw/n.1-0.frames", b"x")
        for member in members:
            if isinstance(member, zipfile.ZipInfo):
                archive.writestr(member, b"target")
            else:
                archive.writestr(*member)
    path.write_bytes(path.read_bytes().replace(b"aQQb", b"a\0\0b"))  # a name that goes on behind its end
    return path


def link(name: str) -> zipfile.ZipInfo:
    """A member that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"")],
        [("raw/../../evil", b"")],
        [("/etc/evil", b"")],
        [("raw//evil", b"")],
        [("raw/./evil", b"")],
        [("raw/..", b"")],
        [("raw\\..\\evil", b"")],
        [("C:evil", b"")],
        [("raw/a\nb", b"")],
        [("raw/aQQb", b"")],
        [("raw/" + "a" * 300, b"")],
        [("raw/" + "a/" * 30 + "b", b"")],
        [("evil.sh", b"")],
        [(".bashrc", b"")],
        [("raw/same", b"1"), ("raw/same", b"2")],
        [("raw/same", b"1"), ("raw/SAME", b"2")],
        [("raw/file", b"1"), ("raw/file/inside", b"2")],
        [link("raw/link")],
        [link("segments"), ("segments/evil", b"")],
    ],
)
def test_what_would_leave_the_folder_is_refused(members: list[tuple[str, bytes]], tmp_path: Path) -> None:
    evil = crafted(tmp_path / "evil.scopez", *members)
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RecordingError, match="refused"):
        unpack(evil, place / "out.scope")
    assert list(place.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"evil.scopez", "place"}


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.scopez"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("raw/n.1-0.frames", b"\0" * 10_000_000)
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02")
    for size, expected in ((1_000, "larger than it says|damaged"), (2**31, "larger than it can be")):
        struct.pack_into("<I", data, directory + 24, size)
        path.write_bytes(data)
        with pytest.raises(RecordingError, match=expected):
            unpack(path, tmp_path / "out.scope")
        with pytest.raises(RecordingError):
            Pack.open(path).bytes("raw/n.1-0.frames")
        assert not (tmp_path / "out.scope").exists()


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = crafted(tmp_path / "overlap.scopez", ("raw/other", b"y"))
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 0)  # both begin at the start
    path.write_bytes(data)
    with pytest.raises(RecordingError):
        unpack(path, tmp_path / "out.scope")


def test_damage_is_told_and_never_more(packed: Path, tmp_path: Path) -> None:
    whole, chance = packed.read_bytes(), random.Random(1)
    target = tmp_path / "damaged.scopez"
    for number in range(60):
        data = bytearray(whole)
        if number % 2:
            data = data[: chance.randrange(len(data))]
        else:
            for _ in range(4):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        target.write_bytes(data)
        try:
            rec = elixirscope.open(target)
            rec.sql("select count(*) from events")
        except ElixirScopeError as error:
            assert error.hint  # noqa: PT017 - some damage is not noticed, and that is as good
        try:
            unpack(target, tmp_path / "out.scope")
        except ElixirScopeError as error:
            assert error.hint  # noqa: PT017
            assert not (tmp_path / "out.scope").exists()
        else:
            (tmp_path / "out.scope").rename(tmp_path / f"whole{number}.scope")


def test_a_member_that_says_it_is_patched_is_damage(packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[data.rindex(b"PK\1\2") + 8] |= 1 << 5  # flags of the last member in the index
    (tmp_path / "patched.scopez").write_bytes(data)
    with pytest.raises(RecordingError, match="is damaged: compressed patched data"):
        unpack(tmp_path / "patched.scopez", tmp_path / "out.scope")


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Answers ranges, unless told not to."""

    answers = True

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None or not self.answers:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        part = data[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(packed: Path) -> Iterator[str]:
    """Where the pack is served from."""
    handler = type("Here", (Ranges,), {})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: handler(*given, directory=str(packed.parent))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/{packed.name}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_pack_is_read_by_ranges(folder: Path, address: str) -> None:
    one, other = elixirscope.open(folder), elixirscope.open(address)
    assert other.table("messages").equals(one.table("messages"))
    assert other.state("Seats").text == one.state("Seats").text
    assert other.why(20) == one.why(20)


def test_only_what_is_asked_for_is_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from elixirscope.recording import ranges

    monkeypatch.setattr(ranges, "_BLOCK", 512)
    file = ranges.HttpFile(address)
    pack = Pack(address, file, None)  # type: ignore[arg-type]
    assert pack.names("raw")
    before = file.fetched
    assert pack.bytes("manifest.json")
    manifest = pack.size("manifest.json")
    assert manifest is not None
    assert file.fetched - before <= manifest + 4 * 512


def test_servers_and_files_that_will_not_do(folder: Path, address: str, elixirscope: Run, tmp_path: Path) -> None:
    done = elixirscope("info", address.replace(".scopez", ".nothing"))
    assert done.returncode == 7
    assert "→" in done.stderr
    (tmp_path / "text.scopez").write_text("no pack")
    refused = elixirscope("info", tmp_path / "text.scopez")
    assert refused.returncode == 4
    assert "no pack" in refused.stderr


def test_servers_without_ranges_are_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranges, "answers", False)
    with pytest.raises(EnvironmentProblem, match="does not answer ranges"):
        elixirscope.open(address)


def test_pack_and_unpack_at_the_command_line(folder: Path, elixirscope: Run, tmp_path: Path) -> None:
    target = tmp_path / "sale.scopez"
    done = elixirscope("pack", folder, "-o", target)
    assert (done.returncode, done.stdout.strip()) == (0, str(target))
    assert '"complete"' in elixirscope("info", target, "--json").stdout
    assert "Seats" in elixirscope("state", target, "Seats").stdout
    back = elixirscope("unpack", target)
    assert back.returncode == 0, back.stderr
    assert (tmp_path / "sale.scope" / "manifest.json").is_file()
    assert elixirscope("pack", target).returncode == 2
    no_pack = elixirscope("unpack", folder)
    assert no_pack.returncode == 4
    assert "is a folder, and no pack" in no_pack.stderr
    assert elixirscope("unpack", tmp_path / "none.scopez").returncode in (4, 7)
