-- What strangers verify. `subtrees` are the hashes of the tiles above the leaves: number `number` of
-- level `level` is the root over 256^level leaves. `checkpoints` are notes that were signed, the
-- newest and those after which a key no longer signs. `log_keys` are the keys that sign;
-- `payload_keys` hold, for each chain, the key its values are sealed under.

CREATE TABLE "subtrees" (
    "level" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "hash" BLOB NOT NULL,
    PRIMARY KEY ("level", "number")
) STRICT, WITHOUT ROWID;

CREATE TABLE "checkpoints" (
    "size" INTEGER PRIMARY KEY NOT NULL,
    "note" BLOB NOT NULL
) STRICT;

CREATE TABLE "log_keys" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;

CREATE TABLE "payload_keys" (
    "chain" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
