-- Keys of identities, chains of grants, and what was revoked.

CREATE TABLE "identity_keys" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "owner" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "identity_keys_owner" ON "identity_keys" ("owner");

CREATE TABLE "grants" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "parent" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "expires" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "grants_mission" ON "grants" ("mission");
CREATE INDEX "grants_parent" ON "grants" ("parent");
CREATE INDEX "grants_state" ON "grants" ("state");
CREATE INDEX "grants_expires" ON "grants" ("expires");

CREATE TABLE "revoked" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
