// SPDX-License-Identifier: MIT
// The line that says how the gateway is, and whether what is shown is up to date. It is read out when it changes.
import { byId, setText } from "./dom.js";
import { age, timeOfDay } from "./format.js";

const ENDING = "shutting down"; // as /readyz has it

const WORDS = {
  asking: "Connecting",
  serving: "Serving",
  unready: "Not ready",
  ending: "Ending",
  unknown: "Running",
  away: "Not reachable",
  paused: "Paused",
};

export class State {
  #mode = "asking"; // of the gateway
  #heardAt = null; // ms
  #paused = false;

  heard({ told, refused }, { restarted }) {
    this.#heardAt = Date.now();
    if (restarted) setText(byId("event"), `The gateway was restarted; noticed at ${timeOfDay(this.#heardAt)}.`);
    if (told) {
      this.#show(told.ready ? "serving" : told.reason === ENDING ? "ending" : "unready", told.reason ?? "");
      this.#showAbout(told);
    } else {
      this.#show("unknown", `Only numbers can be shown: ${refused}.`);
    }
  }

  lost(error) {
    const since = this.#heardAt ? ` What is below is as it was at ${timeOfDay(this.#heardAt)}.` : "";
    this.#show("away", `${error.name === "TimeoutError" ? "No answer." : "No connection."}${since}`);
  }

  pause(paused) {
    this.#paused = paused;
    this.#show(this.#mode, paused ? "" : byId("reason").textContent);
  }

  #show(mode, reason) {
    this.#mode = mode;
    const shown = this.#paused ? "paused" : mode;
    document.body.dataset.mode = shown;
    setText(byId("mode"), WORDS[shown]);
    setText(byId("reason"), reason);
    const title = `${WORDS[shown]} · nereidd`;
    if (document.title !== title) document.title = title;
  }

  #showAbout({ version, pid, started, now }) {
    setText(byId("version"), version);
    setText(byId("about"), `up ${age((Date.parse(now) - Date.parse(started)) / 1000)} · process ${pid}`);
  }
}
