"use strict";
// What is asked over HTTP (`bridle http serve`). Whatever is no plain yes is an error with a code.

class Refused extends Error {
  constructor(code, message, about = {}) {
    super(`${message || "refused"} [${code}]`);
    this.code = code;
    Object.assign(this, about);
  }
}

class Governor {
  constructor({ url, token, timeout = 10000 }) {
    if (!url || !token) throw new Refused("usage", "bridle: say `url` and `token` in settings.js");
    this.url = String(url).replace(/\/$/, "");
    this.token = token;
    this.timeout = timeout;
  }

  async ask(path, body) {
    let response;
    try {
      response = await fetch(this.url + path, {
        method: "POST",
        redirect: "error",
        headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(this.timeout),
      });
    } catch (problem) {
      throw new Refused("governor_unreachable", `no governor answers: ${problem.message}`);
    }
    let said;
    try {
      said = await response.json();
    } catch {
      throw new Refused("protocol_error", "what answers is no governor");
    }
    const found = said.verdict || said.release;
    if (response.status === 200 && !said.error) return said;
    if (response.status === 409 && found?.outcome?.kind === "ok") {
      throw new Refused("already_done", "it has been done before", { outcome: found.outcome });
    }
    if (found?.effect === "hold") throw new Refused("held", text(found), { approval: found.approval });
    if (found) throw new Refused(found.reasons?.[0]?.code || "refused", text(found));
    throw new Refused(said.error?.code || "protocol_error", said.error?.message);
  }

  // Returns the verdict of an action that this process, and no other, is to carry out now.
  async begin(whose, tool, args, key) {
    const { verdict } = await this.ask("/v1/decide", { ...whose, tool, args, key, start: true });
    if (!verdict?.attempt || !["allow", "modify"].includes(verdict.effect)) {
      throw new Refused("protocol_error", "the answer started nothing");
    }
    return verdict;
  }

  async observe(whose, { action, attempt }, outcome) {
    return (await this.ask("/v1/observe", { ...whose, action, attempt, outcome })).release;
  }
}

function text(found) {
  return (found.reasons || []).map((reason) => reason.text || reason.code).join("; ");
}

module.exports = { Governor, Refused };
