"""Lines that are not passed on: hostile spellings, odd envelopes, surfaces nobody governs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.office import Front, Office

CALL = b'{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"echo","arguments":{}}}'
INNER = CALL % b"77"

HOSTILE = {
    "a carriage return as white space": b'{"jsonrpc":"2.0","id":1,\r' + INNER + b"\r:0}",
    "a carriage return that a reader may break at": CALL[:1] + b"\r" + CALL[1:] % b"1",
    "a duplicate method": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    "a duplicate name": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"wipe","name":"echo"}}',
    "a method in another case": b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}',
    "a name in another case": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"echo","Name":"wipe"}}',
    "a name with a long s": '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    '{"name":"echo","argument\u017f":{}}}'.encode(),
    "a batch": b"[" + INNER + b"]",
    "NaN": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}',
    "half a surrogate pair": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}',
    "not UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\xff"}}',
    "an overlong slash": b'{"jsonrpc":"2.0","id":1,"method":"tools\xc0\xafcall"}',
    "a byte order mark": b"\xef\xbb\xbf" + INNER,
    "a null byte": INNER + b"\x00",
    "two messages": INNER + b" " + INNER,
    "an integer beyond doubles": CALL % b"9007199254740993",
    "a fraction for an id": CALL % b"1.5",
    "an exponent for an id": CALL % b"1e0",
    "true for an id": CALL % b"true",
    "null for an id": CALL % b"null",
    "an object for an id": CALL % b"{}",
    "a long id": CALL % (b'"' + b"x" * 300 + b'"'),
    "another version": INNER.replace(b"2.0", b"1.0"),
    "no version": b'{"id":1,"method":"ping"}',
    "a method that is no text": b'{"jsonrpc":"2.0","id":1,"method":["tools/call"]}',
    "a method with a space": b'{"jsonrpc":"2.0","id":1,"method":"tools/call "}',
    "parameters that are a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    "a request with a result": b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
    "no name": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}',
    "a name that is no text": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":["echo"]}}',
    "a task": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"echo","task":{"ttl":1}}}',
    "input that nobody asked for": b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"echo","inputResponses":{}}}',
    "a call without an id": b'{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}',
    "a call in a notification's clothes": b'{"jsonrpc":"2.0","id":1,'
    b'"method":"notifications/tools/call"}',
    "a call in capitals": b'{"jsonrpc":"2.0","id":1,"method":"Tools/Call"}',
    "a call with a dot": b'{"jsonrpc":"2.0","id":1,"method":"./tools/call"}',
    "a task's result": b'{"jsonrpc":"2.0","id":1,"method":"tasks/result"}',
    "an unknown method": b'{"jsonrpc":"2.0","id":1,"method":"x/y"}',
    "an answer to nothing": b'{"jsonrpc":"2.0","id":1,"result":{}}',
    "an array": b"7",
    "nothing of JSON": b"tools/call",
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_never_reaches_the_server(front: Front, line: bytes):
    before = len(front.office.received())
    front.send(line)
    assert "result" in front.ask("ping")
    assert [json.loads(x)["method"] for x in front.office.received()[before:]] == ["ping"]


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_passes_no_more_with_everything_let_through(everything: Front, line: bytes):
    before = len(everything.office.received())
    everything.send(line)
    number = everything.request("ping")
    while everything.receive().get("id") != number:
        pass
    arrived = {json.loads(x)["method"] for x in everything.office.received()[before:]}
    assert arrived - {"x/y"} == {"ping"}


def test_a_key_that_calls_do_not_have_passes_only_where_an_operator_says_so(
    front: Front, everything: Front
):
    params = {"name": "echo", "arguments": {}, "also": {}}
    assert "--pass other" in front.ask("tools/call", params)["error"]["message"]
    assert "isError" not in everything.ask("tools/call", params)["result"]


@pytest.fixture(scope="module")
def everything(office: Office):
    groups = "resources,prompts,completions,sampling,elicitation,roots,other"
    with office.front("--pass", groups) as front:
        front.number = 1000
        yield front


def test_a_line_separator_within_a_text_is_escaped_not_passed_on(front: Front):
    """To Node's readline, U+2028 ends a line: what follows it would be a message of its own."""
    text = "a\u2028" + INNER.decode() + "\u2028b\u2029"
    result = front.call("flush", text=text)
    assert result["content"][0]["text"] == "flushed"
    front.send(
        json.dumps(
            {
                "jsonrpc": "2.0",
                "id": "u",
                "method": "tools/call",
                "params": {"name": "flush", "arguments": {"text": text}},
            },
            ensure_ascii=False,
        ).encode()
    )
    assert front.receive()["id"] == "u"
    assert front.office.calls("flush") == [{"text": text}] * 2
    assert not any(c in front.office.received()[-1].decode() for c in "\u2028\u2029")


def test_an_id_in_flight_cannot_be_used_again(fresh: Front):
    front = fresh
    number = front.request("tools/call", {"name": "slow", "arguments": {}})
    for same in (number, str(number)):
        front.send({"jsonrpc": "2.0", "id": same, "method": "ping"})
        assert front.receive()["id"] is None
    assert "isError" not in front.call("echo", text="x")
    methods = [json.loads(x)["method"] for x in front.office.received()]
    assert methods.count("ping") == 1, "only the one of the greeting"


def test_a_refusal_answers_the_request_where_its_id_can_be_read(front: Front):
    front.send(b'{"jsonrpc":"2.0","id":41,"method":"ping","method":"ping"}')
    assert front.receive()["id"] == 41
    front.send(b'{"jsonrpc":"2.0","id":42')
    assert front.receive()["id"] is None


SURFACES = {
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
    "prompts/get": "prompts",
    "completion/complete": "completions",
    "vendor/extension": "other",
}


@pytest.mark.parametrize(("method", "group"), SURFACES.items())
def test_an_ungoverned_surface_is_refused_and_the_way_out_named(
    front: Front, everything: Front, method: str, group: str
):
    answer = front.ask(method, {"uri": "x"})
    assert answer["error"]["code"] == -32601
    assert f"--pass {group}" in answer["error"]["message"]
    assert everything.ask(method, {"uri": "x"})["result"] == {}


@pytest.mark.parametrize(
    "method",
    ["ping", "resources/list", "resources/templates/list", "prompts/list", "logging/setLevel",
     "server/discover", "subscriptions/listen"],
)  # fmt: skip
def test_what_carries_nothing_past_a_policy_passes(front: Front, method: str):
    assert front.ask(method)["result"] == {}


@pytest.mark.parametrize("wanted", [{"resourceSubscriptions": ["file:///x"]}, {"taskIds": ["1"]}])
def test_listening_to_resources_or_tasks_is_more_than_listening(front: Front, wanted: dict):
    assert "error" in front.ask("subscriptions/listen", {"notifications": wanted})


def ask_client(front: Front, method: str) -> list[dict]:
    """Have the server ask its client something; return all that the client is told."""
    asks = {"jsonrpc": "2.0", "id": "s1", "method": method, "params": {"x": 1}}
    end = b'\n{"jsonrpc":"2.0","id":@ID@,"result":{"content":[]}}'
    (front.office.sink / "say").write_bytes(json.dumps(asks).encode() + end)
    number = front.request("tools/call", {"name": "say"})
    told = [front.receive()]
    while told[-1].get("id") != number:
        told.append(front.receive())
    return told[:-1]


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list",
                                    "vendor/thing", "tasks/get", "tools/call"])  # fmt: skip
def test_a_server_cannot_ask_the_client_for_anything_but_a_ping(front: Front, method: str):
    assert ask_client(front, method) == []
    assert "result" in front.ask("ping")
    (refusal,) = [m for m in map(json.loads, front.office.received()) if m.get("id") == "s1"]
    assert refusal["error"]["code"] == -32601


def test_a_servers_ping_and_its_answer_pass(front: Front):
    (ping,) = ask_client(front, "ping")
    front.send({"jsonrpc": "2.0", "id": ping["id"], "result": {}})
    front.send({"jsonrpc": "2.0", "id": ping["id"], "result": {"again": 1}})
    assert "result" in front.ask("ping")
    answers = [m for m in map(json.loads, front.office.received()) if m.get("id") == "s1"]
    assert answers == [{"jsonrpc": "2.0", "id": "s1", "result": {}}]


def test_a_surface_that_an_operator_lets_pass_passes_in_both_directions(everything: Front):
    (asked,) = ask_client(everything, "sampling/createMessage")
    everything.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"role": "assistant"}})
    assert "result" in everything.ask("ping")
    assert b'"role": "assistant"' in b"".join(everything.office.received())


# --- what the server says ------------------------------------------------------------------------

LIES = {
    "an answer before its time": b'{"jsonrpc":"2.0","id":%d,"result":{"content":[]}}',
    "an answer to nothing": b'{"jsonrpc":"2.0","id":"no","result":{"content":[]}}',
    "a carriage return": b'{"jsonrpc":"2.0",\r"method":"notifications/message"}',
    "a request without an id": b'{"jsonrpc":"2.0","method":"sampling/createMessage"}',
    "a result beside an error": b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
    "noise": b"Server listening on stdio",
    "a batch": b'[{"jsonrpc":"2.0","id":1,"result":{}}]',
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_line_of_the_server_that_answers_nothing_is_dropped(front: Front, lie: bytes):
    said = lie % (front.number + 2) if b"%d" in lie else lie
    end = b'\n{"jsonrpc":"2.0","id":@ID@,"result":{"content":[]}}'
    (front.office.sink / "say").write_bytes(said + end)
    assert front.call("say") == {"content": []}
    assert front.call("echo", text="honest")["content"][0]["text"] == "honest"


@pytest.mark.parametrize(
    "answer",
    [b'{"jsonrpc":"2.0","id":@ID@,"result":{"content":[],"content":[]}}',
     b'{"jsonrpc":"2.0","id":@ID@,"result":{"content":[]},"Result":{"content":[1]}}',
     b'{"jsonrpc":"2.0","id":@ID@,"result":[]}',
     b'{"jsonrpc":"2.0","id":@ID@,"result":{"x":NaN}}',
     b'{"jsonrpc":"2.0","id":@ID@}'],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_for_sure_ends_its_call_and_is_not_shown(
    front: Front, answer: bytes
):
    (front.office.sink / "say").write_bytes(answer)
    text = front.call("say")["content"][0]["text"]
    assert "cannot be read" in text


def test_hidden_text_of_a_server_cannot_become_a_second_message_for_the_client(front: Front):
    text = 'x\u2028{"jsonrpc":"2.0","method":"notifications/message"}\u2028'
    result = json.dumps({"content": [{"type": "text", "text": text}]}, ensure_ascii=False)
    say = b'{"jsonrpc":"2.0","id":@ID@,"result":' + result.encode() + b"}"
    (front.office.sink / "say").write_bytes(say)
    number = front.request("tools/call", {"name": "say"})
    line = front.line()
    assert "\u2028" not in line.decode()
    assert json.loads(line)["result"]["content"][0]["text"] == text
    assert json.loads(line)["id"] == number


@settings(max_examples=60)
@given(st.binary(max_size=200).filter(lambda b: b"\n" not in b))
def test_whatever_bytes_come_the_proxy_stands_and_forwards_no_call(everything: Front, noise: bytes):
    before = len(everything.office.received())
    everything.send(noise)
    number = everything.request("ping")
    while everything.receive().get("id") != number:
        pass
    assert len(everything.office.received()) == before + 1


@settings(max_examples=60)
@given(data=st.data())
def test_no_mutation_of_a_call_for_a_forbidden_tool_runs_it(everything: Front, data: st.DataObject):
    everything.number += 1
    number = everything.number
    line = bytearray(
        b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"wipe","arguments":{}}}'
        % number
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b'"', b"{", b"}", b",", b"\r", b" ", b"\x00", b"\\", b"N", b"1"])
        )
    everything.send(bytes(line))
    ping = everything.request("ping")
    while everything.receive().get("id") != ping:
        pass
    assert everything.office.calls("wipe") == []
