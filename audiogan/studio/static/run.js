// Page of a run. It requests changes every two seconds while it is visible.

import { element, icon } from "./looks.js";
import { Curves } from "./run-curves.js";
import { Previews } from "./run-previews.js";

const POLL = 2000, LIST_POLL = 10000, MAX_POLL = 15000; // Time in milliseconds between two requests: for the run, for the list of runs, and at most after errors.
const PARTS = ["curves", "findings", "previews"];
const STATES = {
  preparing: "getting ready", training: "training", finished: "finished", stopped: "stopped", interrupted: "interrupted",
  gone: "gone",
};
const find = (id) => document.getElementById(id);
const count = (number) => Math.round(number).toLocaleString("en");

/** Return a duration in seconds as text. */
function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.round(seconds / 86400)} days`;
}

function say(text) {
  const says = find("says");
  says.textContent = text;
  says.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => says.classList.remove("shown"), 3500);
}

function notice(text) {
  if (find("notice").textContent !== text) find("notice").textContent = text;
  find("notice").hidden = !text;
}

/** Set the text of an element only if it changed, so that screen readers and selections are not disturbed. */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

async function ask(path, signal) {
  const response = await fetch(path, { signal });
  if (response.ok) return response.json();
  const error = new Error(response.statusText);
  error.status = response.status;
  throw error;
}

class RunPage {
  constructor() {
    this.curves = new Curves(find("curves"), find("curves-hint"));
    this.previews = new Previews(find, say);
    this.run = null; // Id of the run that is shown.
    this.listed = -Infinity;
    this.wait = POLL;
    addEventListener("hashchange", () => this.choose(location.hash.slice(1)));
    document.addEventListener("visibilitychange", () => this.wake());
  }

  /** Show another run. */
  choose(id) {
    if (id === this.run) return;
    Object.assign(this, { run: id, seen: {}, state: "", known: null });
    find("findings").replaceChildren();
    this.curves.clear();
    this.previews.clear();
    this.mark();
    this.wake();
  }

  /** Request changes now. */
  wake() {
    clearTimeout(this.timer);
    this.asking?.abort();
    if (!document.hidden) this.poll();
  }

  async poll() {
    const { signal } = (this.asking = new AbortController());
    let next = POLL;
    try {
      if (performance.now() - this.listed > LIST_POLL || !this.run) await this.list(signal);
      if (this.run) next = (await this.look(signal)) ? 100 : POLL;
      notice("");
      this.wait = POLL;
    } catch (error) {
      if (signal.aborted) return;
      next = this.wait = error.status === 404 ? POLL : Math.min(MAX_POLL, 1.5 * this.wait);
      this.missed(error);
    }
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), next);
  }

  missed(error) {
    if (error.status === 404) {
      this.show({ state: "gone" });
      notice("The folder of this run was moved or deleted. The page shows the last data that was read.");
      this.seen = {}; // Versions are cleared, because the run may come back with other content.
      this.listed = -Infinity;
    } else if (error.status !== 503) {
      notice(error.status ? "The studio cannot read this run at the moment; trying again." : "The studio does not respond; is it still running? Trying again.");
    }
  }

  /** Update the list of runs. */
  async list(signal) {
    const { runs } = await ask("/api/runs", signal);
    this.listed = performance.now();
    const old = new Map([...find("runs").children].map((item) => [item.dataset.id, item]));
    const items = runs.map((run) => this.item(run, old.get(run.id)));
    const same = items.length === old.size && items.every((item, i) => item === find("runs").children[i]);
    if (!same) { // Links are moved only if necessary, because a moved link loses the focus.
      const focused = document.activeElement?.closest("#runs a");
      find("runs").replaceChildren(...items);
      focused?.focus({ preventScroll: true });
    }
    const wanted = location.hash.slice(1);
    if (!this.run) {
      const first = runs.find((run) => run.id === wanted) ?? runs.find((run) => run.played && run.state === "training") ?? runs[0];
      if (first) Object.assign(this, { run: first.id, seen: {}, state: "" });
    }
    find("none").hidden = Boolean(this.run);
    this.mark();
  }

  item(run, item = element("li", { "data-id": run.id }, element("a", { href: `#${run.id}` },
    element("i", { class: "dot" }), element("b"), element("small"), element("em")))) {
    const [dot, name, about, played] = item.firstChild.children;
    dot.dataset.state = run.state;
    put(name, run.name);
    name.title = run.name;
    const done = run.share === null ? `step ${count(run.step)}` : `${Math.floor(100 * run.share)} %`;
    const more = { training: ` · ${done}`, preparing: "" }[run.state] ?? ` · ${span(run.age)} ago`;
    put(about, STATES[run.state] + more);
    put(played, run.played ? "played" : "");
    return item;
  }

  mark() {
    const list = find("runs");
    for (const item of list.children) {
      const link = item.firstChild, chosen = item.dataset.id === this.run;
      if (chosen === link.hasAttribute("aria-current")) continue;
      if (!chosen) link.removeAttribute("aria-current");
      else {
        link.setAttribute("aria-current", "true");
        list.scrollLeft = item.offsetLeft - list.offsetLeft - 12; // On narrow screens the list is horizontal.
      }
    }
  }

  /** Request and show the changes of the run. Resolves to true if the server has more of the log to read. */
  async look(signal) {
    const { run, seen } = this;
    const data = await ask(`/api/runs/${encodeURIComponent(run)}?${new URLSearchParams(seen)}`, signal);
    if (run !== this.run) return false;
    for (const part of PARTS) if (data[part]) seen[part] = data[part].version;
    find("run").hidden = false;
    this.show(data);
    if (data.findings) this.findings(data.findings.all);
    if (data.previews) this.previews.update(run, data.previews);
    if (data.curves) this.curves.update(data.curves);
    this.curves.hint(data);
    document.body.dataset.ready = run;
    return data.more;
  }

  show(data) {
    const state = find("state");
    put(state, STATES[data.state]);
    state.dataset.state = data.state;
    if (this.state && this.state !== data.state) say(`The run is ${data.state === "training" ? "training" : STATES[data.state]}`);
    this.state = data.state;
    find("live").hidden = !["training", "preparing"].includes(data.state);
    if (data.state === "gone") return;
    put(find("name"), data.name);
    put(find("why"), data.why);
    const bar = find("progress");
    bar.hidden = data.share === null;
    bar.value = data.share ?? 0;
    bar.dataset.state = data.state;
    const going = data.state === "training", percent = data.share === null ? "" : `${Math.floor(100 * data.share)} %`;
    document.title = `${going && percent ? `${percent} ` : ""}${STATES[data.state]} · ${data.name} – audiogan`;
    this.facts([
      ["step", data.state === "preparing" ? "" : count(data.step), data.steps ? `of ${count(data.steps)}` : ""],
      ["done", percent, ""],
      ["time left", data.left === null ? "" : `${data.left < 5 ? "" : "≈ "}${span(data.left)}`, ""],
      ["steps a minute", data.rate === null ? "" : data.rate < 10 ? data.rate.toPrecision(2) : count(data.rate), ""],
      ["examples a second", data.examples === null ? "" : data.examples < 10 ? data.examples.toPrecision(2) : count(data.examples), ""],
      ["trained for", data.seconds === null ? "" : span(data.seconds), ""],
      ["last change", `${span(data.age)} ago`, ""],
    ]);
  }

  facts(rows) {
    const list = find("facts");
    if (!list.childElementCount) {
      list.append(...rows.map(([name]) => element("div", {}, element("dt", {}, name), element("dd", {}, element("b"), element("small")))));
    }
    rows.forEach(([, value, more], i) => {
      const box = list.children[i];
      box.hidden = !value;
      put(box.querySelector("b"), value);
      put(box.querySelector("small"), more);
    });
  }

  findings(all) {
    const list = find("findings"), key = (one) => JSON.stringify([one.kind, one.step, one.severity, one.text]);
    const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
    const fresh = all.filter((one) => !old.has(key(one)));
    list.replaceChildren(...all.map((one) => old.get(key(one)) ?? this.finding(one, key(one))));
    put(find("findings-hint"), all.length ? "" : "None yet. Monitors check the run during training and report problems here.");
    if (this.known && fresh.length) {
      for (const one of fresh) old.get(key(one)) ?? list.querySelector(`[data-key="${CSS.escape(key(one))}"]`)?.classList.add("fresh");
      say(`${fresh[0].kind === "verdict" ? "Verdict" : `New ${fresh[0].severity}: ${fresh[0].kind}`}`);
    }
    this.known = all;
  }

  finding(one, key) {
    const verdict = one.kind === "verdict";
    const item = element("li", { "data-key": key, class: `finding ${one.severity}${verdict ? " verdict" : ""}` },
      element("p", { class: "kind" }, element("span", { class: "severity" }, verdict ? "verdict" : one.severity),
        element("b", {}, verdict ? "" : one.kind), element("small", {}, `step ${count(one.step)}`)),
      element("p", {}, one.text));
    if (one.advice) item.append(element("p", { class: "advice" }, element("b", {}, "Try "), one.advice));
    if (one.override) {
      const code = element("code", { tabindex: "0" }, one.override);
      const copy = element("button", { class: "icon", "aria-label": `Copy ${one.override}`, title: "Copy" }, icon("i-copy"));
      copy.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(one.override);
          say("Copied: paste it after audiogan train");
        } catch { // Some browsers do not allow writing to the clipboard.
          getSelection().selectAllChildren(code);
          say("Selected: copy it with Ctrl C");
        }
      });
      item.append(element("div", { class: "override" }, code, copy));
    }
    return item;
  }
}

find("theme").addEventListener("click", () => say(window.switchTheme() === "dark" ? "Dark" : "Light"));
const page = new RunPage();
page.wake();
