"""Splicing: links dropped, reordered, truncated, duplicated or taken from another chain."""

from __future__ import annotations

import pytest

from bridle.model.calls import Failed, Offered, Opened
from bridle.trust.grants import issue
from bridle.trust.holder import Holder
from trust.forging import resigned
from trust.office import ANYTHING, NOTES, Office, Run


@pytest.fixture
def office() -> Office:
    return Office()


def refusal(run: Run, link: str) -> str:
    reply = run.offer(link)
    assert isinstance(reply, Failed)
    assert reply.code == "grant_invalid"
    return reply.message


def below(run: Run, signer: Holder, to: Holder) -> str:
    """A link below a run's grant, signed by whom you like."""
    now = run.office.now_s
    return issue.attenuate(
        run.chain, signer.private, agent="porter", holder=to.public, details=ANYTHING,
        issued=now, expires=now + 60,
    )  # fmt: skip


def test_a_link_is_offered_by_nobody_but_the_holder_of_its_parent(office: Office) -> None:
    top = office.run()
    low = top.hand("scout", NOTES)
    receiver = Holder.generate()
    # Dropped: the one in between leaves itself out, in its own session and in the one above.
    assert "par_hash" in refusal(low, below(top, low.holder, receiver))
    assert "signed" in refusal(top, below(top, low.holder, receiver))
    assert "par_hash" in refusal(top, below(low, top.holder, receiver))


def test_a_link_of_another_chain_does_not_fit(office: Office) -> None:
    one, two = office.run(), office.run()
    assert "signed" in refusal(two, below(one, one.holder, Holder.generate()))
    # Even where one key holds both chains.
    both = Run(office, "clerk", one.holder, Opened(id=two.session, grant=two.grant,
                                                   chain=two.texts))  # fmt: skip
    assert "signed" in refusal(two, below(both, one.holder, Holder.generate()))


def test_a_link_that_is_offered_twice_is_one_grant_and_accepted_once(office: Office) -> None:
    giver, receiver = office.run(), Holder.generate()
    link = giver.link("scout", receiver, NOTES)
    offered = giver.offer(link)
    assert isinstance(offered, Offered)
    assert giver.offer(link) == offered
    assert isinstance(giver.accepted("scout", receiver, offered.grant), Opened)
    giver.offer(link)
    assert isinstance(giver.accepted("scout", receiver, offered.grant), Failed)


def test_the_jti_of_a_link_above_does_not_come_again(office: Office) -> None:
    giver = office.run().hand("scout", NOTES)
    for above in giver.chain.links:
        link = giver.link("digger", Holder.generate(), NOTES, jti=above.claims.jti)
        assert "jti" in refusal(giver, link)


def test_a_chain_that_is_cut_off_is_its_giver_s_and_no_key_proves_it(office: Office) -> None:
    top = office.run()
    low = top.hand("scout", NOTES)
    call = low.decision("bank.tip", start=True, amount=1)
    verdict = low.ask(low.proved(call, low.holder, top.grant))
    assert verdict.verdict.reasons[0].code == "proof_invalid"  # type: ignore[union-attr]
    assert office.ran == []


def test_depths_do_not_skip_or_stand_still(office: Office) -> None:
    giver = office.run().hand("scout", NOTES)
    link = giver.link("digger", Holder.generate(), NOTES)
    for depth in (0, 1, 3, 8):
        changed = resigned(link, giver.holder.private, del_depth=depth)
        assert "depth" in refusal(giver, changed)
