"use strict";
// Node-RED: what governed nodes do is decided before they do it, and their results before they go on.
// In settings.js:
//
//   bridle: {
//     url: "http://127.0.0.1:8186", token: process.env.BRIDLE_TOKEN,
//     pipeline: "orders", mission: "desk",      // flows decide as their author: docs/pipelines.md
//     nodes: {
//       "http request": {
//         tool: "page.get",
//         arguments: (msg, node) => ({ url: msg.url }),
//         apply: (msg, args, node) => { msg.url = args.url },
//         failed: (msg) => msg.statusCode >= 500 && "the service failed",
//       },
//     },
//   },
//
// A node of any other type that is not known to be harmless does not run.

const { isDeepStrictEqual } = require("node:util");
const { definition, sha256 } = require("./definition.js");
const { Governor, Refused } = require("./governor.js");

// These reach nothing outside of the flows.
const HARMLESS = [
  "batch", "catch", "change", "comment", "complete", "csv", "debug", "delay", "function", "group",
  "html", "http in", "http response", "inject", "join", "json", "junction", "link call", "link in",
  "link out", "range", "rbe", "sort", "split", "status", "switch", "template", "trigger", "xml",
  "yaml",
];
const KEPT = 10 * 60 * 1000; // ms that a result may follow its action

module.exports = (RED) => {
  const settings = { hold: 0, every: 1000, harmless: HARMLESS, nodes: {}, ...RED.settings.bridle };
  const governor = new Governor(settings);
  const harmless = new Set(settings.harmless);
  const running = new Map(); // node and message → what was begun
  let defined = { problem: "the flows have not started" };

  // What is inside of a subflow is governed node by node.
  const isGoverned = ({ type }) => !harmless.has(type) && !type.startsWith("subflow:");

  RED.events.on("flows:starting", ({ config }) => {
    const flowFile = RED.settings.flowFile;
    const files = settings.files || [flowFile, "settings.js"];
    try {
      defined = { digest: definition(RED.settings.userDir, files, flowFile, config.flows) };
    } catch (problem) {
      defined = { problem: problem.message };
      RED.log.error(`bridle: ${problem.message}`);
    }
  });

  // Whose action it is: an agent's, whose reference the message carries, or the flows' author's.
  function whose(msg) {
    if (msg.bridle !== undefined) return { reference: String(msg.bridle) };
    if (!settings.pipeline) throw new Refused("requester_missing", "the message names no agent");
    if (!defined.digest) throw new Refused("definition_unknown", defined.problem);
    const { pipeline, mission } = settings;
    const run = settings.run ? String(settings.run(msg)) : String(msg._msgid);
    return { run: { pipeline, mission, run, definition: defined.digest } };
  }

  async function begin(node, msg) {
    const kind = settings.nodes[node.type];
    if (!kind) throw new Refused("not_governed", `nodes of the type ${node.type} are not governed`);
    const args = plain(kind.arguments(msg, node));
    const who = whose(msg);
    const key = `${node.id}/${msg._msgid}/${sha256(JSON.stringify(args))}`;
    const tool = typeof kind.tool === "function" ? kind.tool(msg, node) : kind.tool;
    let verdict;
    try {
      verdict = await approved(() => governor.begin(who, tool, args, key));
    } catch (problem) {
      if (problem.code !== "already_done") throw problem;
      return done(node, msg, problem.outcome);
    }
    try {
      const decided = JSON.parse(verdict.args);
      if (!isDeepStrictEqual(decided, args)) kind.apply?.(msg, decided, node);
      // Read again where the node reads: a change that is lost is no change.
      if (!isDeepStrictEqual(plain(kind.arguments(msg, node)), decided)) {
        throw new Refused("not_applied", "the node would not do what was decided");
      }
    } catch (problem) {
      await governor.observe(who, verdict, { kind: "not_started" });
      throw problem;
    }
    keep(node, msg, { kind, who, verdict });
  }

  function keep(node, msg, begun) {
    const name = `${node.id}/${msg._msgid}`;
    running.set(name, begun);
    const forget = () => running.get(name) === begun && running.delete(name);
    setTimeout(forget, KEPT).unref();
  }

  // What has been done is not done again: its result, as it was released, goes on in its place.
  function done(node, msg, { output, opaque }) {
    if (opaque || !output) throw new Refused("result_opaque", "it was done, and has no result");
    msg.payload = JSON.parse(output);
    keep(node, msg, { output: JSON.stringify(msg.payload), release: Promise.resolve({}) });
    node.send(msg);
    return false;
  }

  // Wait for a human as long as `hold` says (ms): the message stays where it is, and only in memory.
  async function approved(ask) {
    for (const end = Date.now() + settings.hold; ; ) {
      try {
        return await ask();
      } catch (problem) {
        if (problem.code !== "held" || Date.now() >= end) throw problem;
      }
      await new Promise((resolve) => setTimeout(resolve, settings.every));
    }
  }

  // Report a result, once, and have only what is released go on.
  async function released(node, msg) {
    const begun = running.get(`${node.id}/${msg._msgid}`);
    if (!begun) throw new Refused("not_decided", "this is the result of no action");
    const failure = begun.kind?.failed?.(msg, node);
    if (failure) {
      report(begun, { kind: "error", error: "Error", message: String(failure) });
      await begun.release;
      throw new Error(failure);
    }
    const output = JSON.stringify(msg.payload === undefined ? null : plain(msg.payload));
    if (begun.output !== undefined && begun.output !== output) {
      throw new Refused("result_opaque", "one message is the result of an action, and this is another");
    }
    begun.output = output;
    report(begun, { kind: "ok", output });
    const release = await begun.release;
    if (release.output) msg.payload = JSON.parse(release.output);
  }

  function report(begun, outcome) {
    begun.release ||= governor.observe(begun.who, begun.verdict, outcome);
  }

  // A hook that halts says `false`; anything else of ours would be taken for a yes.
  async function orHalt(node, msg, check) {
    try {
      return await check();
    } catch (problem) {
      node.error(problem, { ...msg, refused: { code: problem.code, approval: problem.approval } });
      return false;
    }
  }

  RED.hooks.add("onReceive.bridle", ({ msg, destination: { node } }) => {
    if (isGoverned(node)) return orHalt(node, msg, () => begin(node, msg));
  });
  RED.hooks.add("preDeliver.bridle", ({ msg, source: { node } }) => {
    if (isGoverned(node)) return orHalt(node, msg, () => released(node, msg));
  });
  RED.hooks.add("onComplete.bridle", async ({ msg, error, node: { node } }) => {
    const begun = running.get(`${node.id}/${msg._msgid}`);
    if (!begun || begun.release) return;
    const message = error ? String(error.message || error).slice(0, 1000) : "";
    const outcome = error ? { kind: "error", error: "Error", message } : { kind: "ok" };
    report(begun, outcome);
    await begun.release.catch((problem) => RED.log.error(`bridle: ${problem.message}`));
  });

  RED.log.info(`bridle: governed by ${governor.url}`);
};

// JSON as it will be sent: what it cannot carry is refused, and not left out.
function plain(value) {
  return JSON.parse(JSON.stringify(value, (name, each) => {
    if (["function", "symbol", "bigint"].includes(typeof each) || Number.isNaN(each)) {
      throw new Refused("malformed", "this is no JSON");
    }
    return each;
  }));
}
