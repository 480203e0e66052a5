module.exports = {
  uiHost: "127.0.0.1",
  flowFile: "flows.json",
  httpAdminRoot: false, // whoever deploys flows decides what they do
  credentialSecret: false,
  bridle: {
    url: process.env.BRIDLE_URL,
    token: process.env.BRIDLE_TOKEN,
    hold: 60 * 1000, // how long a message waits for a human (ms)
    nodes: {
      "http request": {
        tool: "mail.send",
        arguments: (msg) => msg.payload,
        apply: (msg, args) => { msg.payload = args; },
        failed: (msg) => msg.statusCode >= 400 && `the service said ${msg.statusCode}`,
      },
    },
  },
};
