// Sessions, links, open exchanges and recent errors.

import { get } from "./api.js";
import { $, Table, count, lasting, make, put } from "./dom.js";
import { advice, meaning, t, word } from "./words.js";

const stage = (name) => t(`stage_${name}`);

const named = (telegram) => Object.entries(telegram).map(([name, value]) => `${name} ${value}`).join(", ");

function sieve(input) {
  const words = $(input).value.toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => words.every((each) => text.toLowerCase().includes(each));
}

export class Connections {
  constructor() {
    this.seen = { sessions: [], links: [], exchanges: [] };
    this.tables = {
      exchanges: new Table($("exchangetable"), "exchanges", [
        { title: "age", cell: (row) => lasting(row.age_s), number: true, order: (row) => row.age_s },
        { title: "message", cell: (row) => row.message, order: (row) => row.message },
        { title: "telegram", cell: (row) => named(row.telegram), class: "long" },
        { title: "from", cell: (row) => row.asker, order: (row) => row.asker },
        { title: "to", cell: (row) => row.answerer || `(${row.target})`, order: (row) => row.answerer || row.target },
        { title: "state", cell: (row) => row.state, order: (row) => row.state },
        { title: "delivery", cell: (row) => row.delivery, order: (row) => row.delivery },
      ], { most: 50 }),
      sessions: new Table($("sessiontable"), "sessions", [
        { title: "name", cell: (row) => row.name, order: (row) => row.name },
        { title: "state", cell: (row) => stage(row.state), order: (row) => row.state },
        { title: "address", cell: (row) => row.address, order: (row) => row.address },
        { title: "certificate", cell: (row) => row.certificate.join(", "), class: "long" },
        { title: "age", cell: (row) => lasting(row.age_s), number: true, order: (row) => row.age_s },
        { title: "count", cell: (row) => count(row.telegrams_received), number: true, order: (row) => row.telegrams_received },
        { title: "open", cell: (row) => count(row.open), number: true, order: (row) => row.open },
        { title: "unwritten", cell: (row) => count(row.unwritten), number: true, order: (row) => row.unwritten },
        { title: "paused", cell: (row) => (row.paused ? t("yes") : ""), order: (row) => row.paused },
      ]),
      links: new Table($("linktable"), "links", [
        { title: "name", cell: (row) => row.name, order: (row) => row.name },
        { title: "service", cell: (row) => row.service, order: (row) => row.service },
        { title: "backend", cell: (row) => row.backend, order: (row) => row.backend },
        { title: "state", cell: (row) => (row.line && row.line !== "open" ? `${stage(row.state)} · ${row.line}` : stage(row.state)), order: (row) => row.line || row.state },
        { title: "inuse", cell: (row) => (row.in_use ? t("yes") : t("no")), order: (row) => row.in_use },
        { title: "age", cell: (row) => lasting(row.age_s), number: true, order: (row) => row.age_s },
        { title: "inflight", cell: (row) => `${count(row.in_flight)} / ${count(row.limit)}`, number: true, order: (row) => row.in_flight },
        { title: "unwritten", cell: (row) => count(row.unwritten), number: true, order: (row) => row.unwritten },
      ]),
    };
    $("connectionfilter").addEventListener("input", () => this.draw());
  }

  translate() {
    for (const table of Object.values(this.tables)) table.translate();
  }

  async look() {
    const [sessions, links, exchanges] = await Promise.all([get("/sessions"), get("/links"), get("/exchanges")]);
    this.seen = { sessions: sessions.sessions, links: links.links, exchanges: exchanges.exchanges };
    put($("sessioncount"), count(sessions.total));
    put($("linkcount"), count(links.total));
    put($("exchangecount"), count(exchanges.total));
    this.draw();
  }

  draw() {
    const fits = sieve("connectionfilter");
    this.tables.sessions.fill(this.seen.sessions.filter((row) => fits(`${row.name} ${row.address} ${row.state} ${row.certificate.join(" ")}`)));
    this.tables.links.fill(this.seen.links.filter((row) => fits(`${row.name} ${row.service} ${row.backend} ${row.state}`)));
    this.tables.exchanges.fill(this.seen.exchanges.filter((row) => fits(`${row.message} ${named(row.telegram)} ${row.asker} ${row.answerer || ""} ${row.target} ${row.state}`)));
  }
}

export class Errors {
  constructor(inspect) {
    this.inspect = inspect;
    this.seen = [];
    this.chosen = null;
    this.told = -1;
    this.buttons = new Map();
    this.table = new Table($("errortable"), "recenterrors", [
      { title: "time", cell: (row) => row.time.slice(11, 23), class: "mono" },
      { title: "code", cell: (row) => this.button(row), order: (row) => row.code },
      { title: "event", cell: (row) => row.event, order: (row) => row.event },
      { title: "meaning", cell: (row) => meaning(row.code, row.title), class: "long" },
      { title: "message", cell: (row) => row.fields.message || "", order: (row) => row.fields.message || "" },
      { title: "from", cell: (row) => row.fields.asker || row.fields.peer || row.fields.connection || row.fields.who || "" },
      { title: "to", cell: (row) => row.fields.answerer || row.fields.service || row.fields.origin || "" },
    ], { rowClass: (row) => (row === this.chosen || row.number === this.chosen?.number ? "chosen" : "") });
    $("errorfilter").addEventListener("input", () => this.draw());
  }

  button(row) {
    if (!this.buttons.has(row.number)) this.buttons.set(row.number, make("button", { type: "button", class: "small", click: () => this.choose(row) }, row.code));
    return this.buttons.get(row.number);
  }

  translate() {
    this.table.translate();
    if (this.chosen) this.explain();
  }

  async look(told) {
    if (told === this.told) return;
    const found = await get("/errors");
    this.told = found.total;
    this.seen = found.errors;
    const kept = new Set(this.seen.map((row) => row.number));
    for (const number of this.buttons.keys()) if (!kept.has(number)) this.buttons.delete(number);
    this.draw();
  }

  draw() {
    const fits = sieve("errorfilter");
    this.table.fill(this.seen.filter((row) => fits(`${row.code} ${row.event} ${row.title} ${meaning(row.code, "")} ${JSON.stringify(row.fields)}`)));
  }

  choose(row) {
    this.chosen = row;
    this.draw();
    this.explain();
    if (matchMedia("(max-width: 900px)").matches) $("errordetail").focus();
  }

  // The explain view: what the code means, what may have become of the money, what to do, and all that the log has.
  explain() {
    const row = this.chosen;
    const { code, delivery, telegram, problems, ...rest } = row.fields;
    const facts = { ...(telegram || {}), ...rest };
    $("errordetail").replaceChildren(
      make("h2", {}, `${row.code} · ${meaning(row.code, row.title)}`),
      make("p", { class: "soft" }, `${row.time} · ${row.event}`),
      delivery ? make("p", { class: delivery === "not_sent" ? "good-ink" : "bad-ink" }, `${t("delivery")}: ${word(delivery)}`) : "",
      row.do ? make("p", {}, `${t("todo")}: ${advice(row.code, row.do)}`) : "",
      problems?.length ? make("ul", {}, ...problems.map((each) => make("li", {}, each))) : "",
      make("h3", {}, t("fields")),
      make("dl", {}, ...Object.entries(facts).filter(([, value]) => value !== null && value !== "").flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, typeof value === "object" ? JSON.stringify(value) : value)])),
      make("button", { type: "button", click: () => this.inspect() }, t("inspectthis")),
    );
  }
}
