"""Where no secret may be: records, rows, the files of the store, logs, answers to anybody else."""

import base64
import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest

from bridle.brokers.broker import BrokerError, Made, Order
from bridle.governor.credentials.scrubbing import Vended
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect
from bridle.store.sqlite import open_store
from governor.credentials.conftest import Opens
from governor.credentials.counter import API_KEY, CRM_KEY, PERFORMING, Counter, Valet
from governor.desk import AGENT

FORMS = {
    "plain": CRM_KEY,
    "base64": base64.b64encode(CRM_KEY.encode()).decode(),
    "percent": quote(CRM_KEY, safe=""),
    "hex": CRM_KEY.encode().hex(),
    "upper": CRM_KEY.encode().hex().upper(),
    "JSON": json.dumps(CRM_KEY).replace("/", "\\/"),
    "inside": f"Authorization: Bearer {CRM_KEY}; next",
}


def told(counter: Counter) -> str:
    """All that records hold, what is sealed included."""
    leaves = counter.leaves()
    opened = [counter.opened_leaf(index) for index, each in enumerate(leaves) if each.commit]
    assert opened
    return repr(leaves) + repr(opened)


@pytest.mark.parametrize("form", FORMS)
def test_a_result_that_holds_it_is_recorded_and_released_without(opens: Opens, form: str) -> None:
    counter = opens()
    attempt = counter.started()
    counter.vended(attempt)
    text = FORMS[form]
    counter.report(attempt, json.dumps({"body": text}))
    again = counter.judge("crm.find", counter.as_crate(), key="again")
    assert text not in told(counter)
    assert CRM_KEY not in repr(again)
    assert "[credential]" in told(counter)


def test_however_a_result_escapes_it(opens: Opens) -> None:
    counter = opens()
    attempt = counter.started()
    counter.vended(attempt)
    spelled = json.dumps(CRM_KEY).replace("c", "\\u0063").replace("/", "\\/")
    release = counter.report(attempt, f'{{"n": 1.10, "body": {spelled}, "{CRM_KEY}": 2}}').release
    assert release.effect is Effect.ALLOW
    assert spelled[1:-1] not in told(counter)
    assert '{"n": 1.10, "body": "[credential]", "[credential]": 2}' in [
        counter.opened_leaf(index).get("output")
        for index, each in enumerate(counter.leaves())
        if each.commit
    ]


def test_an_error_that_holds_it_is_recorded_without(opens: Opens) -> None:
    counter = opens()
    attempt = counter.started()
    counter.vended(attempt)
    message = f"401: {CRM_KEY} is not valid"
    counter.report(attempt, "", kind="error", error=CRM_KEY, message=message)
    assert CRM_KEY not in told(counter)


def test_what_was_stored_is_told_again_without(opens: Opens) -> None:
    counter = opens()
    session, crate = counter.session("clerk", "crate"), counter.as_crate()
    found = counter.judge("crm.find", crate, session=session, key="once", id=1)
    counter.vended(found.attempt)
    counter.report(found.attempt, json.dumps(CRM_KEY))
    again = counter.judge("crm.find", crate, session=session, key="once", id=1)
    assert again.outcome is not None
    assert again.outcome.output == '"[credential]"'


def test_a_late_and_a_second_report_are_scrubbed_too(opens: Opens) -> None:
    counter = opens()
    attempt = counter.started()
    counter.vended(attempt)
    counter.later(120_000)
    counter.settled()
    counter.report(attempt, json.dumps(CRM_KEY))
    counter.report(attempt, "", kind="error", message=CRM_KEY)
    assert CRM_KEY not in told(counter)


def test_no_file_of_the_store_holds_it(tmp_path: Path) -> None:
    counter = Counter(tmp_path, store=open_store(tmp_path / "store.db"))
    for caller, session, tool in (
        (counter.as_crate(), counter.session("clerk", "crate"), "crm.find"),
        (PERFORMING, counter.session("clerk", "worker"), "api.issue"),
    ):
        found = counter.judge(tool, caller, session=session, perform=caller.performing)
        vended = counter.vended(found.attempt, caller, session)
        counter.report(found.attempt, json.dumps(vended.secret), caller, session)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"store.db", "secrets.sealed"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        for secret in (CRM_KEY, API_KEY):
            assert secret.encode() not in data, path
            assert base64.b64encode(secret.encode()) not in data, path
    counter.governor.close()


def test_no_log_and_no_refusal_holds_it(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    valet, leaks = Loud(), "loud-secret-5c1"
    counter.core.brokers.valet = valet  # type: ignore[union-attr]
    reply = counter.vend(counter.started())
    assert counter.code(reply) == "credential_unavailable"
    assert leaks not in repr(reply) + told(counter)
    counter.settled()
    (row,) = counter.rows(calls.Leases())
    assert row["state"] == "ending"
    assert leaks not in repr(row)
    assert leaks not in caplog.text
    assert all(record.exc_info is None for record in caplog.records)


class Loud(Valet):
    """A broker with a fault in it, whose exceptions say everything."""

    def vend(self, order: Order) -> Made:
        raise KeyError("loud-secret-5c1") from ValueError("loud-secret-5c1")

    def revoke(self, credential: object, handle: bytes) -> None:
        raise BrokerError("loud-secret-5c1 " + handle.decode(), code="broker_refused")


def test_the_answer_does_not_show_it(opens: Opens) -> None:
    counter = opens()
    found = counter.vended(counter.started())
    assert CRM_KEY not in repr(found) + str(found)


def test_no_other_call_of_an_agent_or_an_operator_tells_it(opens: Opens) -> None:
    counter = opens()
    attempt = counter.started()
    counter.vended(attempt)
    session = counter.session("clerk", "crate")
    heard = [
        counter.ask(call)
        for call in (
            calls.Leases(all=True),
            calls.Missions(mission=counter.mission),
            calls.Attempts(),
            calls.Status(),
            calls.SecretVerb(verb="list"),
        )
    ]
    heard += [
        counter.ask(call, AGENT)
        for call in (
            calls.ToolsOf(session=session),
            calls.Beat(session=session, attempt=attempt),
            calls.GrantOf(session=session),
        )
    ]
    assert CRM_KEY not in repr(heard)


def test_reports_of_other_attempts_stay_as_they_are(opens: Opens) -> None:
    counter = opens()
    counter.vended(counter.started())
    other = counter.started()
    release = counter.report(other, json.dumps(CRM_KEY[:6] + " is fine")).release
    assert release.effect is Effect.ALLOW


def test_what_is_no_secret_of_a_connection_stays_readable_in_a_report() -> None:
    vended = Vended()
    fields = {
        "host": "db.example",
        "port": "5432",
        "dbname": "crm",
        "user": "u",
        "password": "pw-987654",
    }
    vended.add("att_1", fields)
    said = Outcome(OutcomeKind.OK, output='"5432 rows of crm at db.example, pw-987654"')
    call = calls.Observe(session="s", attempt="att_1", outcome=said)
    assert vended.scrubbed(call).outcome.output == '"5432 rows of crm at db.example, [credential]"'
