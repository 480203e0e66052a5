-- Credentials that were vended.

CREATE TABLE "leases" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "attempt" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "expires" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "leases_mission" ON "leases" ("mission");
CREATE INDEX "leases_attempt" ON "leases" ("attempt");
CREATE INDEX "leases_state" ON "leases" ("state");
CREATE INDEX "leases_expires" ON "leases" ("expires");
