-- Pending holds are counted per mission and agent, in one look at an index.

ALTER TABLE "holds" ADD COLUMN "agent" TEXT NOT NULL DEFAULT '';
UPDATE "holds" SET "agent" = json_extract(CAST("doc" AS TEXT), '$.agent');
DROP INDEX "holds_mission";
CREATE INDEX "holds_open" ON "holds" ("mission", "status", "agent");
