-- Plans that were checked, and what was done of them.

CREATE TABLE "plans" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "mission" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "plans_mission" ON "plans" ("mission");
