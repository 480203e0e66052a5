-- What is still open is found by state and time together, and the attempts of an action by the
-- action: with an index on each column alone SQLite went through all that had the same state.

DROP INDEX "actions_state";
DROP INDEX "actions_lapses";
CREATE INDEX "actions_open" ON "actions" ("state", "lapses");

DROP INDEX "attempts_state";
DROP INDEX "attempts_lease";
DROP INDEX "attempts_action";
CREATE INDEX "attempts_open" ON "attempts" ("state", "lease");
CREATE INDEX "attempts_action" ON "attempts" ("action", "state");
