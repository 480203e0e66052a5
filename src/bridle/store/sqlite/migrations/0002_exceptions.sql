-- What humans approved for the rest of a mission.

CREATE TABLE "exceptions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "expires" INTEGER NOT NULL,
    "created" INTEGER NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "exceptions_mission" ON "exceptions" ("mission");
CREATE INDEX "exceptions_status" ON "exceptions" ("status");
CREATE INDEX "exceptions_expires" ON "exceptions" ("expires");
CREATE INDEX "exceptions_created" ON "exceptions" ("created");
