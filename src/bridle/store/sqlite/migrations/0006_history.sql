-- What policies look back on. Nothing was ever kept in the table of partitions before.

DROP TABLE "partitions";
CREATE TABLE "partitions" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "scope" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "partitions_scope" ON "partitions" ("scope");

CREATE TABLE "histories" (
    "scope" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "events" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "snapshots" (
    "partition" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
