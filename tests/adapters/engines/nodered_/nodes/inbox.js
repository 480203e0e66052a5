"use strict";
// The bench's queue as nodes: an item comes again, after a restart too, until something came of it.

const fs = require("node:fs");
const path = require("node:path");

const UNDECIDED = ["governor_unreachable", "store_unavailable", "internal", "protocol_error"];

module.exports = (RED) => {
  const folder = process.env.BENCH_INBOX;

  RED.nodes.registerType("inbox", function (config) {
    RED.nodes.createNode(this, config);
    const taken = new Set();
    const look = () => {
      for (const name of fs.readdirSync(folder).sort()) {
        if (!name.endsWith(".json") || taken.has(name)) continue;
        taken.add(name);
        this.send({ file: name, ...JSON.parse(fs.readFileSync(path.join(folder, name))) });
      }
    };
    const timer = setInterval(look, 30);
    this.on("close", () => clearInterval(timer));
  });

  RED.nodes.registerType("outbox", function (config) {
    RED.nodes.createNode(this, config);
    this.on("input", (msg, send, done) => {
      const name = path.join(folder, msg.file);
      fs.writeFileSync(`${name}.part`, JSON.stringify(came(msg)));
      fs.renameSync(`${name}.part`, `${name}.came`);
      fs.rmSync(name, { force: true });
      done();
    });
  });

  // Answers twice.
  RED.nodes.registerType("twin", function (config) {
    RED.nodes.createNode(this, config);
    this.on("input", (msg, send, done) => {
      send({ ...msg, payload: { page: 7 } });
      setTimeout(() => { send({ ...msg, payload: { page: 8 } }); done(); }, 300);
    });
  });
};

function came(msg) {
  if (!msg.error) return { kind: "done", value: msg.payload };
  const text = String(msg.error.message);
  const code = /\[([a-z_]+)\]$/.exec(text)?.[1];
  if (!code) return { kind: "failed", text };
  if (code === "held") return { kind: "held", text: `${text} ${msg.refused?.approval}` };
  return { kind: UNDECIDED.includes(code) ? "undecided" : "refused", text };
}
