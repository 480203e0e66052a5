// A Node-RED of the tests: no editor, nothing but loopback, one kind of node that is governed.
const page = /\/(page\.[a-z]+)\/(-?[0-9]+)$/;

module.exports = {
  uiHost: "127.0.0.1",
  flowFile: "flows.json",
  httpAdminRoot: false,
  disableEditor: true,
  credentialSecret: false,
  logging: { console: { level: "info" } },
  bridle: {
    url: process.env.BRIDLE_URL,
    token: process.env.BRIDLE_TOKEN,
    pipeline: process.env.BENCH_PIPELINE,
    mission: process.env.BENCH_MISSION,
    timeout: 5000,
    hold: Number(process.env.BENCH_HOLD || 600000),
    every: 100,
    harmless: [
      "inbox", "outbox", "catch", "function", "inject", "link in", "link out", "link call", "change",
      "http in", "http response",
    ],
    nodes: {
      twin: { tool: "page.get", arguments: (msg) => ({ id: msg.number }) },
      "http request": {
        tool: (msg) => page.exec(msg.url)[1],
        arguments: (msg) => ({ id: Number(page.exec(msg.url)[2]) }),
        apply: (msg, args) => { msg.url = msg.url.replace(page, `/$1/${args.id}`); },
        failed: (msg) => msg.statusCode >= 400 && `the sink said ${msg.statusCode}`,
      },
    },
  },
};
