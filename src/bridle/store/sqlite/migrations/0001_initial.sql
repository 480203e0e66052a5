-- The first shape of the store. One table per row type of bridle/store/rows.py: KEY and INDEXED
-- are columns, `doc` is the whole row as JSON. Then the log: leaves as written, the head of each
-- chain, and the frontier of the Merkle tree.

CREATE TABLE "globals" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "bundles" (
    "digest" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "kills" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "missions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "status" TEXT NOT NULL,
    "started" INTEGER NOT NULL,
    "expires" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "missions_status" ON "missions" ("status");
CREATE INDEX "missions_started" ON "missions" ("started");
CREATE INDEX "missions_expires" ON "missions" ("expires");

CREATE TABLE "sessions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "sessions_mission" ON "sessions" ("mission");

CREATE TABLE "identities" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "kind" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "identities_kind" ON "identities" ("kind");

CREATE TABLE "partitions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "actions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "lapses" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "actions_mission" ON "actions" ("mission");
CREATE INDEX "actions_state" ON "actions" ("state");
CREATE INDEX "actions_lapses" ON "actions" ("lapses");

CREATE TABLE "attempts" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "action" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "lease" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "attempts_action" ON "attempts" ("action");
CREATE INDEX "attempts_state" ON "attempts" ("state");
CREATE INDEX "attempts_lease" ON "attempts" ("lease");

CREATE TABLE "holds" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "status" TEXT NOT NULL,
    "mission" TEXT NOT NULL,
    "bind" TEXT NOT NULL,
    "expires" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "holds_status" ON "holds" ("status");
CREATE INDEX "holds_mission" ON "holds" ("mission");
CREATE INDEX "holds_bind" ON "holds" ("bind");
CREATE INDEX "holds_expires" ON "holds" ("expires");

CREATE TABLE "budgets" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "budgets_mission" ON "budgets" ("mission");

-- `hash` is the RFC 6962 leaf hash of `data`; `sealed` the encrypted payload, empty once erased.
CREATE TABLE "leaves" (
    "index" INTEGER PRIMARY KEY NOT NULL,
    "chain" TEXT NOT NULL,
    "seq" INTEGER NOT NULL,
    "data" BLOB NOT NULL,
    "hash" BLOB NOT NULL,
    "sealed" BLOB NOT NULL,
    UNIQUE ("chain", "seq")
) STRICT;

CREATE TABLE "chains" (
    "chain" TEXT PRIMARY KEY NOT NULL,
    "seq" INTEGER NOT NULL,
    "hash" BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. `hashes` holds the roots of the full subtrees, largest first, 32 bytes each; `syncs`
-- is written by a commit whose only purpose is to sync those before it.
CREATE TABLE "log" (
    "id" INTEGER PRIMARY KEY NOT NULL CHECK ("id" = 0),
    "size" INTEGER NOT NULL,
    "hashes" BLOB NOT NULL,
    "syncs" INTEGER NOT NULL
) STRICT;
INSERT INTO "log" VALUES (0, 0, x'', 0);
