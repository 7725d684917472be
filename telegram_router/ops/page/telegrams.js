// The live tail, and the inspector of telegrams that somebody pastes.

import { follow, post } from "./api.js";
import { $, Table, count, make, put } from "./dom.js";
import { t } from "./words.js";

const MOST = 500; // lines of the tail that are kept

export class Tail {
  constructor() {
    this.lines = [];
    this.dropped = 0;
    this.stop = null;
    this.table = new Table($("tailtable"), "tail", [
      { title: "time", cell: (row) => row.time.slice(11, 23), class: "mono" },
      { title: "direction", cell: (row) => ({ in: "→", out: "←", none: "✕" })[row.direction] },
      { title: "message", cell: (row) => row.message || "?" },
      { title: "result", cell: (row) => [row.result, row.code, row.delivery === "answered" ? "" : row.delivery].filter(Boolean).join(" ") },
      { title: "took", cell: (row) => (row.took_ms === null ? "" : `${row.took_ms.toFixed(1)} ms`), number: true },
      { title: "peer", cell: (row) => row.peer },
      { title: "listener", cell: (row) => row.listener || "" },
      { title: "service", cell: (row) => row.service || "" },
      { title: "telegram", cell: (row) => Object.entries(row.telegram).map(([name, value]) => `${name} ${value}`).join(", "), class: "long" },
    ], { most: MOST, rowClass: (row) => (row.code ? "bad" : "") });
    $("tailform").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.stop) this.stop.abort();
      else this.start();
    });
    $("tailclear").addEventListener("click", () => {
      this.lines = [];
      this.dropped = 0;
      this.draw();
    });
  }

  async start() {
    this.stop = new AbortController();
    this.tell(t("watching"));
    try {
      await follow(`/tail?filter=${encodeURIComponent($("tailfilter").value)}`, this.stop.signal, (lines) => this.take(lines));
      this.end(t("stopped"));
    } catch (error) {
      this.end(error.name === "AbortError" ? t("stopped") : t("refused", [error.message, error.todo].filter(Boolean).join(" — ")));
    }
  }

  end(text) {
    this.stop = null;
    this.tell(text);
  }

  tell(text) {
    this.text = text;
    put($("tailstart"), this.stop ? t("stop") : t("start"));
    put($("tailstate"), this.dropped ? `${text} · ${t("skipped", count(this.dropped))}` : text);
  }

  take(lines) {
    for (const line of lines) {
      this.dropped += line.dropped;
      this.lines.unshift(line);
    }
    this.lines.length = Math.min(this.lines.length, MOST);
    this.tell(t("watching"));
    if (!this.waits) {
      this.waits = true;
      setTimeout(() => {
        this.waits = false;
        this.draw();
      }, 250);
    }
  }

  draw() {
    this.table.fill(this.lines);
  }

  translate() {
    this.table.translate();
    this.tell(this.stop ? t("watching") : "");
  }
}

export class Inspector {
  constructor() {
    this.found = null;
    $("inspectform").addEventListener("submit", (event) => {
      event.preventDefault();
      this.explain();
    });
  }

  specs(names) {
    const select = $("inspectspec");
    const chosen = select.value;
    select.replaceChildren(...names.map((name) => make("option", { value: name }, name)), make("option", { value: "" }, t("guess")));
    if (names.includes(chosen)) select.value = chosen;
  }

  async explain() {
    const text = $("inspecttext").value;
    if (!text.trim()) return;
    const order = { text };
    const raw = $("inspectform").elements.form.value === "text";
    if (raw) order.raw = true;
    else order.text = text.trim();
    if ($("inspectspec").value) order.spec = $("inspectspec").value;
    put($("inspectstate"), t("explaining"));
    try {
      this.found = (await post("/explain", order)).telegrams;
      put($("inspectstate"), "");
    } catch (error) {
      this.found = null;
      put($("inspectstate"), t("refused", [error.message, error.todo].filter(Boolean).join(" — ")));
    }
    this.draw();
  }

  draw() {
    $("inspected").replaceChildren(...(this.found === null ? [] : this.found.length ? this.found.map((each) => this.telegram(each)) : [make("p", { class: "empty" }, t("notknown"))]));
  }

  translate() {
    this.draw();
  }

  telegram(told) {
    if (!told.fields) return make("p", { class: "empty" }, t("notknown"));
    const place = make("div");
    const bad = new Map((told.problems || []).map((problem) => [problem.path || problem.field, problem]));
    new Table(place, "fields", [
      { title: "offset", cell: (row) => row.offset, number: true },
      { title: "length", cell: (row) => row.length, number: true },
      { title: "rule", cell: (row) => row.rule },
      { title: "field", cell: (row) => row.path, class: "mono" },
      { title: "name", cell: (row) => row.label, class: "long" },
      { title: "value", cell: (row) => (row.value === null || row.value === undefined ? "" : typeof row.value === "object" ? JSON.stringify(row.value) : row.value), class: "long" },
      { title: "meaning", cell: (row) => [row.meaning, row.note, ...(row.problems || []).map(sentence)].filter(Boolean).join("; "), class: "long" },
      { title: "bytes", cell: (row) => spaced(row.hex), class: "mono" },
    ], { most: 2000, rowClass: (row) => (row.problems?.length || bad.has(row.path) ? "bad" : "") }).fill(told.fields);
    const problems = told.problems || [];
    return make(
      "section",
      {},
      make("h2", {}, [told.message, told.title].filter(Boolean).join(" · ") || told.spec),
      make("p", { class: "soft" }, [`${told.spec} ${told.version || ""}`, `${told.size} ${t("bytes")}`, told.framing].filter(Boolean).join(" · ")),
      make("p", { class: told.ok ? "good-ink" : "bad-ink" }, told.ok ? t("sound") : t("problems", count(problems.length))),
      problems.length ? make("ul", {}, ...problems.map((problem) => make("li", {}, sentence(problem)))) : "",
      told.causes?.length ? make("h3", {}, t("causes")) : "",
      told.causes?.length ? make("ul", {}, ...told.causes.map((cause) => make("li", {}, sentence(cause)))) : "",
      place,
    );
  }
}

const spaced = (hex) => (hex.length > 96 ? `${hex.slice(0, 96)}…` : hex).replace(/(..)(?=.)/g, "$1 ");

function sentence(thing) {
  if (typeof thing === "string") return thing;
  return ["code", "path", "what", "expected", "said", "how", "text", "do"].map((key) => thing[key]).filter((each) => each && typeof each !== "object").join(" · ") || JSON.stringify(thing);
}
