"""What each verdict does to a call, seen at the server; and what each release does to a result."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.model.calls import Missions
from gateway.office import Front, said


def test_an_allowed_call_reaches_the_server_and_its_result_the_client(front: Front):
    assert front.call("echo", text="hello")["content"] == [{"type": "text", "text": "hello"}]
    assert front.office.calls("echo") == [{"text": "hello"}]


def test_a_denied_call_is_a_tool_error_with_its_reason_and_never_reaches_the_server(front: Front):
    text = said(front.call("wipe"))
    assert "denied" in text
    assert "(no_permit)" in text
    assert front.office.calls() == []


def test_a_modified_call_reaches_the_server_with_exactly_the_arguments_of_the_verdict(front: Front):
    line = (
        b'{ "params" : {"_meta":{"x": [1.0, 1e3]}, "arguments": {"text":"a\\u0062", "amount":50},'
        b' "name":"put"}, "id":7,"method":"tools/call", "jsonrpc":"2.0"}'
    )
    front.send(line)
    assert front.receive()["id"] == 7
    (sent,) = [each for each in front.office.received() if b"tools/call" in each]
    assert json.loads(sent)["params"]["arguments"] == {"text": "ab", "amount": 10}
    # Nothing else has changed, not even how a number is written.
    assert b'"_meta":{"x": [1.0, 1e3]}' in sent
    assert json.loads(sent) | {"params": 0} == json.loads(line) | {"params": 0}


def test_a_call_without_arguments_is_judged_as_one_with_none_and_sent_as_it_came(front: Front):
    line = b'{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo"}}'
    front.send(line)
    assert front.receive()["result"]["content"][0]["text"] == "done"
    assert line in front.office.received()


def test_a_held_call_says_what_is_pending_and_never_reaches_the_server(front: Front):
    text = said(front.call("pay", amount=1))
    pending = {row["id"] for row in front.office.pending()}
    assert [hold for hold in pending if f"Approval {hold} is pending" in text]
    assert "a lead agrees to payments" in text
    assert front.office.calls() == []


def test_a_tool_that_nobody_has_described_is_denied_and_never_reaches_the_server(front: Front):
    assert "(unknown_tool)" in said(front.call("sink.echo.x"))
    assert front.office.calls() == []


def test_the_bundles_own_name_of_a_tool_is_not_its_name_on_the_wire(front: Front):
    assert "(tool_changed)" in said(front.call("sink.echo", text="x"))
    assert front.office.calls() == []


def test_each_call_is_an_action_of_its_own(front: Front):
    for _ in range(3):
        front.call("put", amount=1)
    assert front.office.calls("put") == [{"amount": 1}] * 3


def test_every_call_is_on_record_under_its_adapter_and_both_identities(front: Front):
    front.call("echo", text="for the record")
    front.call("wipe")
    (shown,) = front.office.governor.rows(Missions(mission=front.mission))
    (session,) = shown["sessions"]
    assert (session["agent"], session["executor"]) == ("clerk", "proxy")
    assert shown["started_attempts"] == []


# --- results -------------------------------------------------------------------------------------


def test_a_result_without_objection_passes_byte_for_byte(front: Front):
    said_by_server = (
        b'{"id": @ID@ ,"jsonrpc":"2.0","result":{"content":[], "x" : 1.50, "y":"\\u0061"}}'
    )
    (front.office.sink / "say").write_bytes(said_by_server)
    number = front.request("tools/call", {"name": "say"})
    assert front.line() == said_by_server.replace(b"@ID@", str(number).encode())


def test_a_result_is_redacted_before_the_client_sees_it(front: Front):
    result = front.call("echo", text="write to ana@house.example now")
    assert result["content"][0]["text"] == "write to [redacted:email] now"
    assert result["structuredContent"] == {"tool": "echo"}


def test_a_forbidden_result_is_withheld_and_the_call_is_said_to_have_run(front: Front):
    text = said(front.call("echo", text="card 4111 1111 1111 1111"))
    assert text == "The call ran. Bridle withholds its result (forbidden): cards stay inside."
    assert len(front.office.calls("echo")) == 1


def test_the_text_of_a_tool_error_is_judged_like_a_result(front: Front):
    assert said(front.call("fail", text="ask ana@house.example")) == "ask [redacted:email]"
    assert "withholds" in said(front.call("fail", text="card 4111 1111 1111 1111"))
    assert said(front.call("fail", text="nothing special")) == "nothing special"


def test_the_text_of_a_failure_is_not_kept_so_what_would_be_held_is_withheld(front: Front):
    key = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    text = said(front.call("fail", text=key))
    assert "withholds" in text
    assert key not in text


@pytest.mark.parametrize("secret", ["ana@house.example", "4111 1111 1111 1111"])
def test_a_json_rpc_error_is_judged_in_full(front: Front, secret: str):
    answer = front.ask("tools/call", {"name": "break", "arguments": {"text": secret}})
    assert secret not in json.dumps(answer)
    assert said(answer["result"])


def test_a_json_rpc_error_without_objection_passes_as_it_is(front: Front):
    answer = front.ask("tools/call", {"name": "break", "arguments": {"text": "sorry"}})
    assert answer["error"] == {"code": -32000, "message": "sorry", "data": {"why": "x"}}


def test_a_result_too_large_for_the_bundle_is_withheld(front: Front):
    huge = json.dumps({"content": [{"type": "text", "text": "x" * 200_000}]})
    say = b'{"jsonrpc":"2.0","id":@ID@,"result":' + huge.encode() + b"}"
    (front.office.sink / "say").write_bytes(say)
    assert "(limit_exceeded)" in said(front.call("say"))


def test_a_result_too_large_for_one_message_to_the_governor_is_withheld(front: Front):
    huge = json.dumps({"content": [{"type": "text", "text": '"' * 3_000_000}]})
    say = b'{"jsonrpc":"2.0","id":@ID@,"result":' + huge.encode() + b"}"
    (front.office.sink / "say").write_bytes(say)
    assert "(limit_exceeded)" in said(front.call("say"))


@pytest.mark.parametrize(
    "result",
    [
        '{"resultType":"input_required","inputRequests":{}}',
        '{"resultType":"task","task":{"taskId":"1"}}',
        '{"resultType":7,"content":[]}',
    ],
)
def test_a_result_that_is_no_end_of_the_call_is_withheld(front: Front, result: str):
    say = b'{"jsonrpc":"2.0","id":@ID@,"result":' + result.encode() + b"}"
    (front.office.sink / "say").write_bytes(say)
    assert "(not_complete)" in said(front.call("say"))


def test_the_newer_revision_gets_answers_that_name_their_type(front: Front):
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    answer = front.ask("tools/call", {"name": "wipe", "arguments": {}, "_meta": meta})
    assert answer["result"]["resultType"] == "complete"
    assert "(no_permit)" in said(answer["result"])


TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=8,
)


@settings(max_examples=25)
@given(meta=PLAIN, result=st.dictionaries(st.text("abc", min_size=1), PLAIN), spaces=st.booleans())
def test_what_is_allowed_passes_byte_for_byte_in_both_directions(
    shared: Front, meta: Any, result: dict[str, Any], spaces: bool
):
    separators = (" ,  ", " :") if spaces else (",", ":")
    shared.number += 1
    call = {"name": "say", "_meta": {"x": meta}, "arguments": {"text": "t"}}
    request = {"method": "tools/call", "id": shared.number, "params": call, "jsonrpc": "2.0"}
    answer = {"result": result, "jsonrpc": "2.0", "id": shared.number}
    sent, said_back = (json.dumps(m, separators=separators).encode() for m in (request, answer))
    (shared.office.sink / "say").write_bytes(said_back)
    shared.send(sent)
    told = shared.line()
    assert told == said_back
    assert shared.office.received()[-1] == sent
