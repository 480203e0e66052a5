"""Any course of logins, key changes, suspensions and acts: nobody ever acts with another's key.

The model knows which keys are in force and who proved what; the governor is asked and compared.
"""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from bridle.model import calls
from bridle.model.calls import Caller, Failed
from bridle.model.errors import RefusedError
from bridle.model.record import Leaf
from bridle.trust import credential
from governor.desk import ANYONE, Desk
from governor.proving import HUMAN, answered, keyed

USERS = ("ana", "ben", "cleo")
# Two keys for each user: which one counts, or none, is the bundle's to say.
KEYS = {user: [credential.generate("user", user) for _ in range(2)] for user in USERS}
users = st.sampled_from(USERS)


class Humans(RuleBasedStateMachine):
    """Connections that proved something, and the bundle and the registry that change under them."""

    callers = Bundle("callers")

    @initialize()
    def begin(self) -> None:
        self.inforce: dict[str, int | None] = {"ana": 0, "ben": 0, "cleo": None}
        self.suspended: set[str] = set()
        self.desk = Desk(self.files())
        self.proofs: dict[Caller, tuple[str, int]] = {}
        self.seen = len(self.desk.leaves())

    def files(self) -> dict[str, str]:
        """No key, since `keyed()` without keys would take its own: named one by one."""
        return keyed(
            ("policies/permits.dw", "", f"// {sorted(self.inforce.items(), key=str)}\n"),
            **{user: KEYS[user][at] for user, at in self.inforce.items() if at is not None},
        )

    @rule(target=callers)
    def connect(self) -> Caller:
        return HUMAN

    @rule(target=callers, user=users, at=st.integers(0, 1))
    def log_in(self, user: str, at: int) -> Caller:
        found = answered(self.desk, KEYS[user][at], HUMAN)
        if self.inforce[user] != at:
            assert isinstance(found, Failed)
            assert found.code == "not_proven"
            return HUMAN
        if user in self.suspended:
            assert isinstance(found, Failed)
            assert found.code == "suspended"
            return HUMAN
        assert isinstance(found, Caller)
        self.proofs[found] = (user, at)
        return found

    @rule(user=users, at=st.sampled_from([0, 1, None]))
    def activate(self, user: str, at: int | None) -> None:
        before = self.inforce
        self.inforce = {**before, user: at}
        if not any(at is not None for at in self.inforce.values()):
            self.inforce = before
        try:
            self.desk.activate(self.files())
        except RefusedError:
            # Too few humans are active: then the bundle that was in force stays.
            if not self.suspended:
                raise
            self.inforce = before
        self.seen = len(self.desk.leaves())

    @rule(user=users, verb=st.sampled_from(["suspend", "resume"]))
    def change(self, user: str, verb: str) -> None:
        call = calls.IdentityVerb(kind="user", id=user, verb=verb, as_user=self.operator())
        if not isinstance(self.desk.ask(call, ANYONE), Failed):
            (self.suspended.add if verb == "suspend" else self.suspended.discard)(user)
        self.seen = len(self.desk.leaves())

    def operator(self) -> str:
        return next((u for u in ("ana", "ben") if u not in self.suspended), "ana")

    @rule(caller=callers, as_user=st.sampled_from(["", *USERS]))
    def act(self, caller: Caller, as_user: str) -> None:
        """Starting a mission speaks for a user: allowed exactly when the model says so."""
        call = calls.StartMission(template="office", user=as_user)
        reply = self.desk.ask(call, caller)
        assert isinstance(reply, Failed) == (not self.may(caller, as_user)), reply
        new = self.desk.leaves()[self.seen :]
        assert len(new) == (0 if isinstance(reply, Failed) else 1)
        for leaf in new:
            self.rightly(leaf, caller)
        self.seen += len(new)

    @rule(caller=callers, as_user=st.sampled_from(["", *USERS]))
    def stop(self, caller: Caller, as_user: str) -> None:
        """A kill needs no key, and still is nobody else's than the one who proved to be there."""
        reply = self.desk.ask(
            calls.Kill(scope="tool", subject="bell.ring", as_user=as_user), caller
        )
        proof = self.proofs.get(caller)
        if proof is not None and as_user not in ("", proof[0]):
            assert isinstance(reply, Failed)
        if proof is None and as_user in ("ana", "ben") and as_user not in self.suspended:
            assert not isinstance(reply, Failed)
        self.seen = len(self.desk.leaves())

    def may(self, caller: Caller, as_user: str) -> bool:
        proof = self.proofs.get(caller)
        if proof is None:
            known = as_user in USERS and self.inforce[as_user] is None
            return known and as_user not in self.suspended
        user, at = proof
        still = self.inforce[user] == at and user not in self.suspended
        return still and as_user in ("", user)

    def rightly(self, leaf: Leaf, caller: Caller) -> None:
        by = leaf.ids["by"]
        at = self.inforce[by]
        if at is None:
            assert leaf.ids["method"] == "peer:1000"
        else:
            assert leaf.ids["method"] == f"key:{KEYS[by][at].fingerprint[:16]}"
            assert caller.user == by

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.verified()


def test_no_course_of_events_lets_anybody_act_with_anothers_key() -> None:
    run_state_machine_as_test(Humans, settings=settings(max_examples=10, stateful_step_count=20))


@pytest.mark.slow
def test_many_courses_of_events_let_nobody_act_with_anothers_key(
    count: Callable[[int, int], int],
) -> None:
    bounds = settings(max_examples=count(60, 1_000), stateful_step_count=40)
    run_state_machine_as_test(Humans, settings=bounds)
