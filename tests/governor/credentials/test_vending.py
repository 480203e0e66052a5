"""Who is given a credential: the separate worker, proven, for the attempt that it has started."""

from bridle.model.calls import Vended
from bridle.model.verdict import Effect
from governor.credentials.conftest import Opens
from governor.credentials.counter import CRM_KEY, Counter
from governor.desk import AGENT


def test_a_proven_separate_worker_is_given_it(opens: Opens) -> None:
    counter = opens()
    found = counter.vended(counter.started())
    assert found.secret == {"secret": CRM_KEY}
    assert found.system == "crm"
    assert found.expires == counter.clock.now() + 30_000
    assert counter.lease(counter.leases()[0].attempt).state == "live"


def test_once_for_each_attempt(counter: Counter) -> None:
    attempt = counter.started()
    counter.vended(attempt)
    assert counter.code(counter.vend(attempt)) == "credential_denied"
    counter.report(attempt)
    assert counter.code(counter.vend(attempt)) == "lease_lapsed"
    assert len(counter.leases()) == 1


def test_an_agent_that_proves_nothing_starts_nothing(counter: Counter) -> None:
    found = counter.judge("crm.find", AGENT, session=counter.session("clerk", ""), id=1)
    assert found.effect is Effect.DENY
    assert [r.code for r in found.reasons] == ["not_separated"]
