-- Definitions of pipelines that their authors registered, and the missions of their runs.

CREATE TABLE "registrations" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "pipeline" TEXT NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
CREATE INDEX "registrations_pipeline" ON "registrations" ("pipeline");

CREATE TABLE "pipeline_runs" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "doc" BLOB NOT NULL
) STRICT;
