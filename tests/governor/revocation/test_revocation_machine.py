"""Any course of handing on, acting, revoking, killing, suspending and time: nothing starts after.

The book below knows who stands below whom and what was taken back when. It is asked before every
start, and before every revocation: what it says must be what the governor does.
"""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import Struct

from bridle.governor.action.attempts import DECISION_LEASE_MS
from bridle.governor.delegation.grants import Chains
from bridle.model import calls
from bridle.model.calls import Offered
from bridle.trust.holder import Holder
from governor.delegation.runs import HANDING, Run, begin_run, revoke, take_up
from governor.desk import MINUTE, SECOND, Desk

AGENTS = ("clerk", "scout", "mate")
FILES = {
    **HANDING,
    "agents.toml": HANDING["agents.toml"] + '\n[agents.mate]\nowner = "ben"\n',
    "missions.toml": HANDING["missions.toml"].replace(
        'agents = ["clerk", "scout"]', 'agents = ["clerk", "scout", "mate"]'
    ),
}

# As many of those that came last are asked whether they may act.
_PROBED = 6


class Node(Struct, frozen=True):
    """A grant as the book has it: `born` counts the steps of the machine, `ends` is a time."""

    grant: str
    key: str
    agent: str
    mission: str
    born: int
    ends: int
    above: "Node | None" = None

    def chain(self) -> "list[Node]":
        return [*(self.above.chain() if self.above else []), self]


class Pending(Struct, frozen=True):
    """An offer that waits for whoever holds the key."""

    node: Node
    holder: Holder


class Actor(Struct, frozen=True):
    """A run and its place in the book."""

    run: Run
    node: Node


class Decided(Struct, frozen=True):
    """What was allowed and not started."""

    actor: Actor
    action: str
    until: int
    serves: Node | None


class Started(Struct, frozen=True):
    """What was started and not reported."""

    actor: Actor
    attempt: str
    serves: Node | None


class Revocations(RuleBasedStateMachine):
    """A desk, and a book of who stands below whom."""

    actors = Bundle("actors")
    offers = Bundle("offers")
    allowed = Bundle("allowed")

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(FILES)
        self.missions = [self.desk.start_mission() for _ in range(2)]
        self.step = 0
        self.revoked: dict[tuple[str, str], int] = {}
        # In order of insertion: digests are random, and draws must not depend on them.
        self.killed: dict[tuple[str, str], None] = {}
        self.suspended: set[str] = set()
        self.running: dict[str, Started] = {}
        self.known: list[Actor] = []

    # --- the book -------------------------------------------------------------------------------

    def dead(self, node: Node) -> bool:
        since = self.revoked.get
        chain = node.chain()
        if ("mission", node.mission) in self.revoked or since(("user", "ana"), -1) > chain[0].born:
            return True
        return any(
            ("grant", each.grant) in self.revoked
            or ("key", each.key) in self.revoked
            or since(("agent", each.agent), -1) > each.born
            for each in chain
        )

    def over(self, node: Node) -> bool:
        return any(each.ends <= self.desk.clock.now() for each in node.chain())

    def stopped(self, node: Node) -> bool:
        return ("mission", node.mission) in self.killed or any(
            each.agent in self.suspended
            or ("grant", each.grant) in self.killed
            or ("agent", each.agent) in self.killed
            for each in node.chain()
        )

    def may(self, *nodes: Node | None) -> bool:
        return not any(
            self.dead(node) or self.over(node) or self.stopped(node) for node in nodes if node
        )

    def covered(self, kind: str, subject: str, node: Node | None) -> bool:
        if node is None:
            return False
        if kind in ("mission", "user"):
            return kind == "user" or node.mission == subject
        return subject in {getattr(each, kind) for each in node.chain()}

    def next(self) -> int:
        self.step += 1
        return self.step

    def entered(self, actor: Actor) -> Actor:
        self.known.append(actor)
        return actor

    def probe(self) -> None:
        """Whoever may act does, and nobody else: those that came last, and whom they serve."""
        serves = self.known[-1].node if self.known else None
        for actor in self.known[-_PROBED:]:
            for served in (None, serves):
                self.decide_as(actor, served)

    def decide_as(self, actor: Actor, serves: Node | None) -> Decided:
        requester = serves.grant if serves else ""
        answer = actor.run.decide("note.read", f"k{self.next()}", requester=requester, id=1)
        assert (answer.effect == "allow") == self.may(actor.node, serves), answer.reasons
        until = self.desk.clock.now() + DECISION_LEASE_MS
        return Decided(actor, answer.action if answer.effect == "allow" else "", until, serves)

    # --- handing on -----------------------------------------------------------------------------

    @rule(target=actors, agent=st.sampled_from(AGENTS), at=st.integers(0, 1))
    def open(self, agent: str, at: int) -> Actor | None:
        if agent in self.suspended:
            agent = next(iter(a for a in AGENTS if a not in self.suspended), "")
        if not agent:
            agent = AGENTS[0]
            self.resume(agent)
        run = begin_run(self.desk, agent, self.missions[at])
        key = run.holder.fingerprint
        ends = run.chain.leaf.claims.exp * 1_000
        node = Node(run.grant, key, agent, self.missions[at], self.next(), ends)
        return self.entered(Actor(run, node))

    @rule(
        target=actors,
        giver=actors,
        agents=st.lists(st.sampled_from(AGENTS), min_size=1, max_size=3),
        lasts=st.sampled_from([60, 900]),
    )
    def hand(self, giver: Actor, agents: list[str], lasts: int) -> Actor:
        """Hand on, and further, and have it taken up, as far as that goes."""
        for agent in agents:
            giver = self.accept(self.offer(giver, agent, lasts), giver)
        return giver

    @rule(
        target=offers,
        giver=actors,
        agent=st.sampled_from(AGENTS),
        lasts=st.sampled_from([60, 900]),
    )
    def offer(self, giver: Actor, agent: str, lasts: int) -> Pending:
        holder = Holder.generate()
        link_ends = self.desk.clock.now() // 1_000 + lasts
        ends = min(link_ends * 1_000, giver.node.ends)
        node = Node(
            "", holder.fingerprint, agent, giver.node.mission, self.next(), ends, giver.node
        )
        if len(node.chain()) > 9 or self.over(giver.node):  # no link says so
            return Pending(node, holder)
        offered = giver.run.offer(giver.run.link(agent, holder, lasts_s=lasts))
        if isinstance(offered, Offered):
            assert self.may(giver.node)
            return Pending(Node(offered.grant, *node_rest(node)), holder)
        assert not self.may(giver.node) or agent in self.suspended
        return Pending(node, holder)

    @rule(target=actors, offer=consumes(offers), giver=actors)
    def accept(self, offer: Pending, giver: Actor) -> Actor:
        if not offer.node.grant:
            return giver
        taken = take_up(self.desk, offer.node.agent, offer.holder, offer.node.grant)
        if isinstance(taken, str):
            node = offer.node
            unfit = any(each.agent in self.suspended for each in node.chain())
            assert self.dead(node) or self.over(node) or unfit, taken
            return giver
        assert not self.dead(offer.node)
        assert not self.over(offer.node)
        return self.entered(Actor(taken, offer.node))

    # --- acting ---------------------------------------------------------------------------------

    @rule(target=allowed, actor=actors, served=st.none() | actors)
    def decide(self, actor: Actor, served: Actor | None) -> Decided:
        return self.decide_as(actor, served.node if served else None)

    @rule(allowed=consumes(allowed))
    def start(self, allowed: Decided) -> None:
        if not allowed.action:
            return
        answer = allowed.actor.run.begin(allowed.action)
        expected = self.may(allowed.actor.node, allowed.serves)
        expected = expected and self.desk.clock.now() < allowed.until
        assert (answer.effect == "allow") == expected, answer.reasons
        if answer.attempt:
            self.running[answer.attempt] = Started(allowed.actor, answer.attempt, allowed.serves)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def observe(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(list(self.running)))
        started = self.running.pop(attempt)
        started.actor.run.observe(attempt, "not_started")
        row = self.desk.attempt(attempt)
        if row.state == "unknown":  # too late: a human has to say
            self.running[attempt] = started

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        started = self.running[data.draw(st.sampled_from(list(self.running)))]
        answer = started.actor.run.beat(started.attempt)
        assert (answer == "") <= self.may(started.actor.node, started.serves)

    # --- taking back ----------------------------------------------------------------------------

    @rule(actor=actors, kind=st.sampled_from(["grant", "key", "agent"]))
    def revoke(self, actor: Actor, kind: str) -> None:
        self.take_back(kind, str(getattr(actor.node, kind)))

    @rule(offer=offers)
    def revoke_what_was_offered(self, offer: Pending) -> None:
        if offer.node.grant:
            self.take_back("grant", offer.node.grant)

    @rule(at=st.integers(0, 1), whole=st.booleans())
    @precondition(lambda self: self.step > 20)
    def revoke_all(self, at: int, whole: bool) -> None:
        self.take_back(*(("user", "ana") if whole else ("mission", self.missions[at])))

    def take_back(self, kind: str, subject: str) -> None:
        expected = {
            each.attempt
            for each in self.running.values()
            if self.covered(kind, subject, each.actor.node)
            or self.covered(kind, subject, each.serves)
        }
        for preview in (True, False):
            fenced = revoke(self.desk, kind, subject, preview=preview)
            assert {row["id"] for row in fenced.running} == expected
        self.revoked[kind, subject] = self.next()
        self.probe()

    @rule(actor=actors, other=actors)
    def revoke_as_holder(self, actor: Actor, other: Actor) -> None:
        answer = actor.run.revoke(other.node.grant)
        mine = actor.node.grant in {each.grant for each in other.node.chain()}
        assert isinstance(answer, str) != mine
        if mine:
            self.revoked["grant", other.node.grant] = self.next()
            self.probe()

    @rule(actor=actors, scope=st.sampled_from(["grant", "agent", "mission"]))
    def kill(self, actor: Actor, scope: str) -> None:
        subject = str(getattr(actor.node, scope))
        self.desk.done(calls.Kill(scope=scope, subject=subject, as_user="ana"))
        self.killed[scope, subject] = None
        self.probe()

    @precondition(lambda self: self.killed)
    @rule(data=st.data())
    def lift(self, data: st.DataObject) -> None:
        scope, subject = data.draw(st.sampled_from(list(self.killed)))
        self.desk.done(calls.Unkill(scope=scope, subject=subject, as_user="ben"))
        del self.killed[scope, subject]

    @rule(agent=st.sampled_from(AGENTS))
    def suspend(self, agent: str) -> None:
        self.identity(agent, "suspend")
        self.suspended.add(agent)
        self.probe()

    @rule(agent=st.sampled_from(AGENTS))
    def resume(self, agent: str) -> None:
        self.identity(agent, "resume")
        self.suspended.discard(agent)

    def identity(self, agent: str, verb: str) -> None:
        self.desk.done(calls.IdentityVerb(kind="agent", id=agent, verb=verb, as_user="ana"))

    # --- time and restarts ----------------------------------------------------------------------

    @rule(by=st.sampled_from([1, SECOND, 10 * SECOND, MINUTE]), tick=st.booleans())
    def later(self, by: int, tick: bool) -> None:
        self.desk.later(by, tick=tick)
        self.probe()

    @rule()
    def restart(self) -> None:
        """Another governor over the same store: it remembers nothing but that."""
        self.desk.core.chains = Chains()

    @invariant()
    def the_count_is_what_was_revoked(self) -> None:
        if hasattr(self, "desk"):
            counted = self.desk.core.write(lambda turn: turn.globals.revoked)
            assert counted >= len(self.revoked)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.verified()
            self.desk.governor.close()


def node_rest(node: Node) -> tuple[str, str, str, int, int, Node | None]:
    return node.key, node.agent, node.mission, node.born, node.ends, node.above


def test_nothing_starts_below_what_was_taken_back(count: Callable[[int, int], int]) -> None:
    run_state_machine_as_test(
        Revocations, settings=settings(max_examples=15, stateful_step_count=40)
    )


@pytest.mark.slow
def test_nothing_starts_below_what_was_taken_back_in_many_courses(
    count: Callable[[int, int], int],
) -> None:
    run_state_machine_as_test(
        Revocations,
        settings=settings(max_examples=count(100, 1_500), stateful_step_count=60),
    )
