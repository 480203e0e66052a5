"use strict";
// The digest by which flows decide as their author, as `bridle pipelines digest` computes it.

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { isDeepStrictEqual } = require("node:util");

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

// `files` are named from `root`; the flow file among them has to be what runs. Throws otherwise.
function definition(root, files, flowFile, running) {
  const names = [...files].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const lines = names.map((name) => {
    if (/[\n\\]/.test(name) || path.isAbsolute(name)) throw new Error(`no plain file name: ${name}`);
    const data = fs.readFileSync(path.join(root, name));
    if (name === flowFile && !isDeepStrictEqual(JSON.parse(data), running)) {
      throw new Error(`${name} is not what runs: deploy it`);
    }
    return `${sha256(data)}  ${name}\n`;
  });
  if (!names.includes(flowFile)) throw new Error(`${flowFile} is not among the files`);
  return sha256(lines.join(""));
}

module.exports = { definition, sha256 };
