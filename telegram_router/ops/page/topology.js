// Listeners, routes, services and backends with their live numbers, and the wires between them.

import { $, count, make, mark, put, rate, show, svg, within } from "./dom.js";
import { orderBackend, orderListener, orderMessage, orderService } from "./orders.js";
import { t, word } from "./words.js";

const INKS = { up: "good", standby: "calm", unreachable: "bad", down: "bad", ejected: "warn", drain: "calm", maint: "calm" };
const WELL = new Set(["up", "standby"]);
const UNFOLDED = 24; // backends that are shown without being asked for
const WIRES = 80; // more would show nothing

export class Topology {
  constructor(looks) {
    this.looks = looks;
    this.hot = null;
    this.operator = false;
    this.listeners = [];
    this.groups = [];
    this.services = [];
    new ResizeObserver(() => this.wire()).observe($("topology"));
    $("filter").addEventListener("input", () => this.sift());
    $("trouble").addEventListener("change", () => this.sift());
    $("unfold").addEventListener("click", () => this.foldAll(true));
    $("fold").addEventListener("click", () => this.foldAll(false));
  }

  // Everything anew: after a change of names, of the language or of the role.
  build(operator) {
    this.operator = operator;
    const { names } = this.looks;
    this.listeners = names.listeners.map((row, at) => this.listener(row, at));
    this.services = names.services.map((row, at) => this.service(row, at));
    names.backends.forEach((row, at) => this.services[row[0]].backends.push({ at, name: row[1], priority: row[2], weight: row[3], row: null }));
    for (const service of this.services) this.fill(service);
    this.groups = this.group(names.routes);
    $("listeners").replaceChildren(...this.listeners.map((one) => one.card));
    $("routes").replaceChildren(...this.groups.map((one) => one.card));
    $("services").replaceChildren(...this.services.map((one) => one.card));
    this.update();
    this.sift();
  }

  act(name, call) {
    return this.operator ? make("button", { type: "button", class: "small", "aria-label": t("actfor", name), click: call }, t("act")) : null;
  }

  messages(place, spec) {
    const label = `${t("switchmessage")}: ${place.listener || place.service}`;
    return make("button", { type: "button", class: "small", "aria-label": label, click: () => orderMessage(place, this.looks.names.specs[spec] || []) }, t("messages"));
  }

  lead(card, key) {
    card.addEventListener("pointerenter", () => this.heat(key));
    card.addEventListener("pointerleave", () => this.heat(null));
    card.addEventListener("focusin", () => this.heat(key));
    card.addEventListener("focusout", () => this.heat(null));
  }

  listener([name, address, spec], at) {
    const one = { name, at, key: `listener.${name}`, text: `${name} ${address} ${spec}`.toLowerCase(), tag: make("span", { class: "tag" }), facts: make("div", { class: "facts" }), halted: make("div", { class: "warn-ink" }) };
    const more = this.act(name, () => orderListener(name, Boolean(this.looks.now.listeners[at][0])));
    const messages = this.operator ? this.messages({ listener: name }, spec) : null;
    one.card = make("article", { class: "card" }, make("div", { class: "top" }, make("span", { class: "name" }, name), one.tag), make("div", { class: "soft" }, `${address} · ${spec}`), one.facts, one.halted, more, " ", messages);
    this.lead(one.card, one.key);
    return one;
  }

  // Routes with the same source and target are one card: five hundred of them are still a few.
  group(routes) {
    const found = new Map();
    routes.forEach(([name, source, target, fields], at) => {
      const key = `${source}\n${target}`;
      if (!found.has(key)) found.set(key, { source, target, routes: [] });
      found.get(key).routes.push({ name, fields, at });
    });
    return [...found.values()].map((group) => {
      const label = (place) => place.slice(place.indexOf(".") + 1);
      group.text = `${group.source} ${group.target} ${group.routes.map((route) => route.name).join(" ")}`.toLowerCase();
      group.facts = make("div", { class: "facts" });
      group.list = make("tbody");
      group.details = make("details", {}, make("summary", {}, t("routecount", count(group.routes.length))), make("div", { class: "scroll" }, make("table", {}, group.list)));
      group.details.addEventListener("toggle", () => this.list(group));
      group.card = make("article", { class: "card" }, make("div", { class: "top" }, make("span", { class: "name" }, `${label(group.source)} → ${label(group.target)}`)), group.facts, group.details);
      group.card.addEventListener("pointerenter", () => this.heat(group));
      group.card.addEventListener("pointerleave", () => this.heat(null));
      group.card.addEventListener("focusin", () => this.heat(group));
      group.card.addEventListener("focusout", () => this.heat(null));
      return group;
    });
  }

  list(group) {
    if (group.details.open && !group.list.rows.length) {
      for (const route of group.routes) {
        route.cells = [make("td", { class: "number" }), make("td", { class: "number" })];
        group.list.append(make("tr", {}, make("td", { class: "long" }, route.name, make("span", { class: "soft" }, ` ${route.fields.join(", ")}`)), ...route.cells));
      }
    }
    this.update();
    this.wire();
  }

  service([name, kind, spec], at) {
    const one = { name, at, key: `service.${name}`, text: `${name} ${kind} ${spec}`.toLowerCase(), backends: [], built: false, facts: make("div", { class: "facts" }), tags: make("span"), halted: make("div", { class: "warn-ink" }), body: make("tbody") };
    one.summary = make("summary");
    one.details = make("details", {}, one.summary, make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": t("backendsof", name) }, make("table", {}, make("thead", {}, make("tr", {}, ...["backend", "state", "answered", "failed", "inflight", "linkcount", "weight"].map((key, place) => make("th", { scope: "col", class: place > 1 ? "number" : null }, t(key))), make("th", { scope: "col" }, make("span", { class: "hidden" }, t("act"))))), one.body)));
    one.details.addEventListener("toggle", () => {
      this.fill(one);
      this.update();
      this.wire();
    });
    const messages = this.operator ? this.messages({ service: name }, spec) : null;
    const act = kind === "telegram" ? this.act(name, () => orderService(this.standing(one))) : null;
    one.card = make("article", { class: "card" }, make("div", { class: "top" }, make("span", { class: "name" }, name, make("span", { class: "soft" }, ` ${kind} · ${spec}`)), one.tags, act, messages), one.facts, one.halted, one.details);
    this.lead(one.card, one.key);
    return one;
  }

  // What there is to be ordered of a service.
  standing(service) {
    const inUse = this.looks.now.services[service.at][6];
    const best = Math.min(...service.backends.map((backend) => backend.priority));
    return { name: service.name, telegram: true, standsBy: this.looks.now.standing_by.includes(service.name), best: inUse !== null && inUse > best };
  }

  // Rows of a service's backends, once they are to be seen.
  fill(service) {
    put(service.summary, t("backendcount", count(service.backends.length)));
    show(service.details, service.backends.length > 0);
    if (!service.built && !service.details.open && this.looks.names.backends.length <= UNFOLDED) service.details.open = true;
    if (service.built || !service.details.open) return;
    service.built = true;
    for (const backend of service.backends) {
      const order = () => {
        const [, admin, , inUse, weight] = this.looks.now.backends[backend.at];
        const others = service.backends.filter((each) => each !== backend && this.looks.now.backends[each.at][3]);
        orderBackend({ service: service.name, name: backend.name, admin, weight, last: Boolean(inUse) && !others.length });
      };
      backend.tag = make("span", { class: "tag" });
      backend.cells = [1, 2, 3, 4, 5].map(() => make("td", { class: "number" }));
      backend.row = make("tr", { "data-backend": backend.name }, make("td", { class: "mono" }, backend.name, backend.priority ? make("span", { class: "soft" }, ` ${t("priority")} ${backend.priority}`) : null), make("td", {}, backend.tag), ...backend.cells, make("td", {}, this.act(backend.name, order)));
      service.body.append(backend.row);
    }
  }

  update() {
    const { now } = this.looks;
    if (now === null || now.backends.length !== this.looks.names.backends.length || !this.services.length) return;
    for (const one of this.listeners) this.updateListener(one, now.listeners[one.at]);
    for (const group of this.groups) this.updateGroup(group);
    for (const one of this.services) this.updateService(one, now.services[one.at]);
    this.updateHalted();
    if ($("trouble").checked) this.sift();
  }

  updateListener(one, [accepting, sessions, , , refused, away]) {
    one.well = Boolean(accepting);
    one.colour = accepting ? "good" : "calm";
    mark(one.card, `card ${one.colour}${one.lit ? " hot" : ""}`);
    mark(one.tag, `tag ${one.colour}-ink`);
    put(one.tag, accepting ? t("accepting") : `${t("closed")} · ${t("differs")}`);
    const parts = [`${rate(this.looks.rate("listeners", one.at, 2))} ${t("received")}`, `${count(sessions)} ${t("sessionsnow")}`];
    if (refused) parts.push(`E ${count(refused)}`);
    if (away) parts.push(`E-LIM-05 ${count(away)}`);
    this.facts(one.facts, parts);
  }

  updateGroup(group) {
    let [answered, failed] = [0, 0];
    for (const route of group.routes) {
      const [well, ill] = [this.looks.rate("routes", route.at, 0), this.looks.rate("routes", route.at, 1)];
      answered += well;
      failed += ill;
      if (group.details.open && route.cells) {
        put(route.cells[0], rate(well));
        put(route.cells[1], rate(ill));
      }
    }
    group.well = failed === 0;
    group.colour = failed ? "bad" : "";
    mark(group.card, `card ${group.colour}${group.lit ? " hot" : ""}`);
    this.facts(group.facts, [`${rate(answered)} ${t("answered")}`, failed ? `${rate(failed)} ${t("failed")}` : null]);
  }

  updateService(one, [inFlight, pending, , , late, unknown, priority]) {
    const states = new Map();
    let inUse = 0;
    let moved = false;
    for (const backend of one.backends) {
      const seen = this.looks.now.backends[backend.at];
      states.set(seen[0], (states.get(seen[0]) || 0) + 1);
      inUse += seen[3];
      backend.well = WELL.has(seen[0]);
      moved = moved || seen[1] !== "ready" || seen[4] !== backend.weight;
      if (one.details.open && backend.row) this.updateBackend(backend, seen);
    }
    const standsBy = this.looks.now.standing_by.includes(one.name);
    one.well = standsBy || one.backends.every((backend) => backend.well);
    one.colour = standsBy ? "calm" : one.backends.length && !inUse ? "bad" : one.well ? "good" : "warn";
    mark(one.card, `card ${one.colour}${one.lit ? " hot" : ""}`);
    const tags = [...states].map(([state, number]) => [`${word(state)} ${number}`, INKS[state] || ""]);
    if (moved) tags.push([t("differs"), "calm"]);
    if (standsBy) tags.push([t("standsby"), "calm"]);
    while (one.tags.children.length > tags.length) one.tags.lastChild.remove();
    tags.forEach(([text, ink], place) => {
      const tag = one.tags.children[place] || one.tags.appendChild(make("span"));
      put(tag, text);
      mark(tag, `tag ${ink}-ink`);
    });
    const [half, most] = this.looks.took(one.at);
    this.facts(one.facts, [
      `${rate(this.looks.rate("services", one.at, 2))} ${t("answered")}`,
      `${t("half")} ${within(half)}`,
      `${t("most")} ${within(most)}`,
      `${count(inFlight)} ${t("inflight")}`,
      pending ? `${count(pending)} ${t("pending")}` : null,
      late ? `${count(late)} ${t("late")}` : null,
      unknown ? `${count(unknown)} ${t("unknown")}` : null,
      priority ? `${t("priority")} ${priority}` : null,
    ]);
  }

  updateBackend(backend, [state, , , inUse, weight, links, load]) {
    put(backend.tag, word(state) + (inUse || state !== "up" ? "" : ` (${t("inuse")}: ${t("no")})`));
    mark(backend.tag, `tag ${INKS[state] || ""}-ink`);
    mark(backend.row, state === "down" || state === "unreachable" ? "bad" : "");
    const numbers = [rate(this.looks.rate("backends", backend.at, 7)), rate(this.looks.rate("backends", backend.at, 8)), count(load), links, weight + (weight === backend.weight ? "" : " *")];
    numbers.forEach((value, place) => put(backend.cells[place], value));
  }

  updateHalted() {
    const off = (place, name) => this.looks.now.halted.filter((each) => (!each.listener && !each.service) || each[place] === name).map((each) => each.message);
    for (const [place, all] of [["listener", this.listeners], ["service", this.services]]) {
      for (const one of all) {
        const messages = off(place, one.name);
        put(one.halted, messages.length ? `${t("halted")}: ${messages.join(", ")}` : "");
      }
    }
  }

  facts(node, parts) {
    const shown = parts.filter((each) => each !== null);
    while (node.children.length > shown.length) node.lastChild.remove();
    shown.forEach((text, place) => put(node.children[place] || node.appendChild(make("span")), text));
  }

  // --- what is shown

  sift() {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const trouble = $("trouble").checked;
    const has = (text) => words.every((each) => text.includes(each));
    for (const one of this.listeners) show(one.card, has(one.text) && (!trouble || !one.well));
    for (const group of this.groups) show(group.card, has(group.text) && (!trouble || !group.well));
    for (const one of this.services) {
      const whole = has(one.text);
      let some = false;
      for (const backend of one.backends) {
        const fits = (whole || has(`${one.text} ${backend.name}`)) && (!trouble || !backend.well);
        if (backend.row) show(backend.row, fits);
        some = some || fits;
      }
      const visible = (whole || some) && (!trouble || !one.well);
      show(one.card, visible);
      if (visible && some && (words.length || trouble) && !one.details.open) one.details.open = true;
    }
    this.wire();
  }

  foldAll(open) {
    for (const one of [...this.services, ...this.groups]) one.details.open = open;
  }

  heat(what) {
    const related = (group) => what !== null && (group === what || group.source === what || group.target === what);
    for (const group of this.groups) group.lit = related(group);
    for (const one of [...this.listeners, ...this.services]) {
      one.lit = what !== null && (one.key === what || this.groups.some((group) => group.lit && (group.source === one.key || group.target === one.key)));
    }
    for (const one of [...this.listeners, ...this.groups, ...this.services]) one.card.classList.toggle("hot", Boolean(one.lit));
    for (const path of $("wires").children) path.classList.toggle("hot", Boolean(path.group && path.group.lit));
  }

  wire() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  draw() {
    const wires = $("wires");
    const shown = this.groups.filter((group) => !group.card.hidden);
    if (shown.length > WIRES || getComputedStyle(wires).display === "none") {
      wires.replaceChildren();
      return;
    }
    const frame = $("topology").getBoundingClientRect();
    const ends = new Map([...this.listeners, ...this.services].filter((one) => !one.card.hidden).map((one) => [one.key, one.card.getBoundingClientRect()]));
    const middle = (box) => Math.min(box.top + 20, box.bottom) - frame.top;
    const paths = [];
    for (const group of shown) {
      const own = group.card.getBoundingClientRect();
      const [from, to] = [ends.get(group.source), ends.get(group.target)];
      const join = (a, ya, b, yb) => {
        const path = svg("path", { d: `M${a} ${ya} C${(a + b) / 2} ${ya} ${(a + b) / 2} ${yb} ${b} ${yb}` });
        path.group = group;
        paths.push(path);
      };
      if (from && from.right < own.left) join(from.right - frame.left, middle(from), own.left - frame.left, middle(own));
      if (from && from.left > own.right) join(from.left - frame.left, middle(from), own.right - frame.left, middle(own));
      if (to && to.left > own.right) join(own.right - frame.left, middle(own), to.left - frame.left, middle(to));
      if (to && to.right < own.left) join(own.left - frame.left, middle(own), to.right - frame.left, middle(to));
    }
    wires.replaceChildren(...paths);
  }
}
