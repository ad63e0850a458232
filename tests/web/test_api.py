"""Each address of the API, asked about a real recording (docs/api.md)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from elixirscope.film import Film

pytestmark = pytest.mark.beam


def ask(client: httpx.Client, path: str, **parameters: Any) -> Any:
    """The answer as JSON; it must be one."""
    answer = client.get(f"/api/{path}", params=parameters or None)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def sale(film: Film) -> dict[str, Any]:
    """A frame of the function that races."""
    rows = film.query.rows("select * from raw.calls where function = 'sell' and outcome is not null order by call")
    return rows[0]


def test_info_names_the_recording(client: httpx.Client) -> None:
    info = ask(client, "info")
    assert info["name"] == "ticket_office.scope"
    assert info["command"] == ["mix", "test"]


def test_processes_stand_below_their_supervisor(client: httpx.Client) -> None:
    rows = ask(client, "processes")["processes"]
    place = {row["process"]: n for n, row in enumerate(rows)}
    supervised = [row for row in rows if row["supervisor"] in place]
    assert supervised
    for row in supervised:
        assert place[row["supervisor"]] < place[row["process"]]
        assert row["depth"] == rows[place[row["supervisor"]]]["depth"] + 1


def test_findings_lead_to_moments_that_exist(client: httpx.Client) -> None:
    findings = ask(client, "findings")["findings"]
    assert {"race", "crash"} <= {finding["kind"] for finding in findings}
    for finding in findings:
        for step in finding["evidence"]:
            picture = ask(client, "frame", event=step["moment"]["event"])
            assert picture["event"]["event"] == step["moment"]["event"]


def test_tests_have_results_and_a_frame(client: httpx.Client) -> None:
    tests = ask(client, "tests")["tests"]
    assert len(tests) == 13
    assert {"passed", "failed"} >= {test["result"] for test in tests}
    assert sum(test["result"] == "failed" for test in tests) >= 1
    assert any(test["call"] is not None and test["process"] is not None for test in tests)


def test_a_picture_brings_of_its_state_what_the_page_shows(client: httpx.Client, film: Film) -> None:
    state = film.query.rows("select * from raw.states where version = 1 order by state")[0]
    plain = ask(client, "frame", event=state["state"])
    assert (plain["inside"], plain["near"]) == (None, [])
    picture = ask(client, "frame", event=state["state"], parts=2, versions=3)
    assert picture["state"]["version"] == 1
    value = picture["state"]["value"]["id"]
    assert picture["inside"] == ask(client, "value/children", id=value, offset=0, limit=2)
    known = ask(client, "states", process=state["process"], offset=0, limit=3)["versions"]
    assert picture["near"] == [{**version, "value": None} for version in known]
    assert {**picture, "inside": None, "near": []} == plain


def test_short_questions_are_answered_together_as_each_by_itself(client: httpx.Client) -> None:
    asked = ["frame?at=0&process=1", "messages?limit=3&around=5000", "event?event=-1", "findings", "nothing"]
    bodies = client.get("/api/together", params={"ask": asked}).json()
    assert bodies[:3] == [client.get(f"/api/{question}").json() for question in asked[:3]]
    assert [body["error"]["slug"] for body in bodies[2:]] == ["not-found", "usage", "usage"]
    assert client.get("/api/together", params={"ask": ["info"] * 9}).status_code == 400


def test_the_timeline_is_never_silently_cut(client: httpx.Client) -> None:
    duration = ask(client, "info")["duration_ns"]
    whole = ask(client, "timeline", width=1000)
    assert whole["from"] == 0
    assert whole["to"] == duration
    assert whole["detail"] == ("density" if whole["truncated"]["spans"] else "spans")
    lane, spans = next((lane["process"], lane["spans"]) for lane in whole["lanes"] if lane.get("spans"))
    call, start, end, depth, label, *_ = spans[0]  # as the page reads them
    frame = ask(client, "frame", at=start, call=call)["stack"][0]
    assert (frame["call"], frame["start"], frame["end"], depth) == (call, start, end, 0)
    assert label.endswith(f"{frame['function']}/{frame['arity']}")
    one = ask(client, "timeline", width=1000, processes=str(lane))
    assert [lane_["process"] for lane_ in one["lanes"]] == [lane]


def test_what_was_left_out_is_told_with_its_time(client: httpx.Client) -> None:
    assert ask(client, "omissions", limit=5) == {"omissions": [], "total": 0}
    assert ask(client, "omissions", **{"from": 5, "to": 9})["total"] == 0


def test_one_moment_moves_every_view(client: httpx.Client, sale: dict[str, Any]) -> None:
    picture = ask(client, "frame", event=sale["end_event"])
    assert picture["moment"]["process"] == sale["process"]
    assert picture["stack"][0]["function"] == "sell"
    assert picture["source"]["file"] == "lib/ticket_office/box_office.ex"
    assert any("def sell" in line for line in picture["source"]["lines"])
    assert ask(client, "graph", at=picture["moment"]["at"])["nodes"]
    assert picture["causes"]
    names = {binding["name"] for binding in picture["bindings"]}
    assert "seat" in names


def test_stepping_there_and_back_returns(client: httpx.Client, sale: dict[str, Any]) -> None:
    forward = ask(client, "step", event=sale["call"], direction="next", scope="process", kind="any")["moment"]
    back = ask(client, "step", event=forward["event"], direction="previous", scope="process", kind="any")["moment"]
    assert back["event"] == sale["call"]


def test_state_history_and_diff(client: httpx.Client, film: Film) -> None:
    process = film.query.rows("select process from raw.states group by 1 order by count(*) desc limit 1")[0]["process"]
    versions = ask(client, "states", process=process)["versions"]
    assert [version["version"] for version in versions] == list(range(len(versions)))
    assert ask(client, "event", event=versions[-1]["state"])["process"] == process
    changes = ask(client, "diff", a=versions[0]["state"], b=versions[-1]["state"])["changes"]
    assert changes
    assert {"path", "op", "before", "after"} <= changes[0].keys()
    part = ask(client, "diff", a=versions[0]["state"], b=versions[-1]["state"], offset=1, limit=1)
    assert (part["offset"], part["total"], part["changes"][0]) == (1, len(changes), changes[1])


def test_pages_count_all_that_match(client: httpx.Client, film: Film) -> None:
    page = ask(client, "messages", limit=3)
    assert page["total"] == film.info.messages
    assert len(page["messages"]) == 3
    following = ask(client, "messages", limit=3, offset=3)["messages"]
    assert {m["message"] for m in page["messages"]}.isdisjoint(m["message"] for m in following)


def test_calls_causes_flow_value_source_search(client: httpx.Client, sale: dict[str, Any]) -> None:
    assert ask(client, "calls", process=sale["process"])["total"] > 0
    assert ask(client, "causes", event=sale["end_event"], direction="backward")["steps"]
    assert ask(client, "causes", event=sale["call"], direction="forward")["steps"]
    assert ask(client, "flow", event=sale["call"], name="seat")["terminator"]
    assert ask(client, "value", id=sale["args"])["text"].startswith("{")
    source = ask(client, "source", file="lib/ticket_office/seats.ex")
    assert source["lines"]
    assert any(line["hits"] > 0 for line in source["executed"])
    kinds = {result["kind"] for result in ask(client, "search", q="seat")["results"]}
    assert "function" in kinds


def test_a_value_opens_part_by_part(client: httpx.Client, sale: dict[str, Any]) -> None:
    page = ask(client, "value/children", id=sale["args"], limit=1)
    assert page["total"] == sale["arity"]
    (first,) = page["children"]
    assert first["path"] == "0"
    assert ask(client, f"value?id={sale['args']}&path=0")["text"].startswith(first["text"].rstrip("…")[:20])


def test_where_the_time_went(client: httpx.Client, sale: dict[str, Any], film: Film) -> None:
    merged = ask(client, "flame")
    assert merged["nodes"]
    assert sum(node["total_ns"] for node in merged["nodes"] if node["parent"] is None) <= merged["total_ns"]
    function = f"{sale['module']}.{sale['function']}/{sale['arity']}"
    around = ask(client, "flame", view="sandwich", function=function)
    assert around["functions"][around["nodes"][0]["function"]]["label"] == function
    assert ask(client, "flame", view="time", processes=sale["process"])["view"] == "time"
    test = next(row for row in ask(client, "tests")["tests"] if row["call"] is not None)
    path = ask(client, "critical", test=test["event"])
    assert path["call"] == test["call"]
    assert sum(share["ns"] for share in path["shares"]) == path["end"] - path["start"]


def test_values_by_pattern_and_at_lines(client: httpx.Client, film: Film) -> None:
    found = ask(client, "find", q="{:put, _, _}", kinds="message")
    assert found["complete"]
    assert found["total"] == len(found["hits"]) > 0
    assert ask(client, "find", q="spring", **{"as": "text"})["total"] > 0
    quick = ask(client, "search", q="%TicketOffice.PromoCode{percent: nil}")["results"]
    assert {"argument", "state"} <= {hit["kind"] for hit in quick}
    shown = ask(client, "messages", pattern="{:put, _, _}")
    assert shown["total"] == found["total"]
    (site,) = film.query.rows("select file, line from raw.sites where kind = 'bind' and vars = ['price'] limit 1")
    printed = ask(client, "retro", file=site["file"], line=site["line"], expression="price")
    assert printed["total"] >= len(printed["prints"]) > 0


def test_why_something_did_not_happen(client: httpx.Client, film: Film, sale: dict[str, Any]) -> None:
    (message,) = film.query.rows("select message from raw.messages where kind = 'call' and reply is not null limit 1")
    assert ask(client, "whynot", message=message["message"])["verdict"] == "happened"
    assert ask(client, "whynot", call=sale["call"])["verdict"] == "happened"
    assert ask(client, "whynot", function="TicketOffice.No.such/0")["verdict"] == "not_recorded"
    assert ask(client, "whynot", pattern="{:never, _}", process=sale["process"])["verdict"] == "never_sent"


def test_sql(client: httpx.Client) -> None:
    answer = client.post("/api/query", json={"sql": "select 1 as one, '<script>' as text"})
    assert answer.json()["rows"] == [[1, "<script>"]]
    refused = client.post("/api/query", json={"sql": "select * from read_csv('/etc/passwd')"})
    assert refused.status_code == 400
    assert refused.json()["error"]["slug"] == "query"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("frame?event=99999999", 404),
        ("frame?at=soon", 400),
        ("step", 400),
        ("step?event=0&direction=sideways", 400),
        ("step?event=0&kind=colour", 400),
        ("timeline?processes=a,b", 400),
        ("value?id=99999999", 404),
        ("value/children?id=0&path=x", 400),
        ("flame?view=sandwich&function=No.such/0", 404),
        ("find?q={:ok,", 400),
        ("search?q={:ok,", 400),
        ("messages?pattern={", 400),
        ("retro?file=lib/no.ex&line=1&expression=1", 404),
        ("retro?file=lib/no.ex&line=1&expression=f(", 400),
        ("whynot", 400),
        ("whynot?message=99999999", 404),
        ("critical", 400),
        ("critical?call=99999999", 404),
        ("critical?test=0", 404),
        ("states", 400),
    ],
)
def test_wrong_questions_get_an_answer_that_helps(client: httpx.Client, path: str, status: int) -> None:
    answer = client.get(f"/api/{path}")
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert error["hint"]


def test_values_are_sent_as_data_not_as_a_page(client: httpx.Client) -> None:
    for path in ("info", "processes", "findings"):
        answer = client.get(f"/api/{path}")
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_changed_a_field_is_answered_with_its_message(client: httpx.Client, film: Film) -> None:
    row = film.query.rows(
        "select s.state, s.process, s.version, s.at, s.previous from raw.states s join raw.processes p using (process)"
        " where p.label like 'Seats%' and s.version > 0 order by s.version desc limit 1"
    )[0]
    path = client.get("/api/diff", params={"a": row["previous"], "b": row["state"]}).json()["changes"][0]["path"]
    found = client.get("/api/changed", params={"process": row["process"], "at": row["at"], "path": path}).json()
    assert found["version"]["version"] == row["version"]
    assert found["changes"][0]["path"] == path
    assert found["certain"]
    assert found["message"]["kind"] == "call"
