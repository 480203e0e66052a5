-- What missions have read.

CREATE TABLE "reads" (
    "mission" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "sources" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
