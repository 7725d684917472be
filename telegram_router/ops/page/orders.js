// Orders of an operator: what may be chosen, what it will do, and one button that carries it out.

import { part, post } from "./api.js";
import { $, make } from "./dom.js";
import { advice, meaning, t } from "./words.js";

let after = () => {};
export const whenDone = (call) => (after = call);

// A refusal of the API: its code and words as they came, and what they mean in the language of the page.
function told(error) {
  const title = error.code ? meaning(error.code, "") : "";
  return [title && `${title}:`, error.message, error.todo && `— ${advice(error.code, error.todo)}`].filter(Boolean).join(" ");
}

// choices: [{value, title, warning}] or none; extra: further elements; send(form) -> promise of the answer. Returns the button.
function ask(title, choices, { chosen = "", extra = [], danger = () => false, verb = "confirm", of = "state", send }) {
  const dialog = $("order");
  const wrong = make("p", { role: "alert", class: "bad-ink" });
  const warning = make("p", { class: "warn-ink", "aria-live": "polite" });
  const confirm = make("button", { type: "submit", class: "primary" }, t(verb));
  const radios = choices.map((choice) => make("input", { type: "radio", name: "choice", value: choice.value, checked: choice.value === chosen, disabled: choice.disabled }));
  const current = () => radios.find((radio) => radio.checked)?.value ?? "";
  const consider = () => {
    warning.textContent = choices.find((choice) => choice.value === current())?.warning || "";
    confirm.disabled = choices.length > 0 && !current();
    confirm.className = danger(current()) ? "primary danger" : "primary";
  };
  radios.forEach((radio) => radio.addEventListener("change", consider));
  const group = choices.length
    ? make("fieldset", {}, make("legend", {}, t(of)), ...choices.map((choice, at) => make("label", {}, radios[at], " ", choice.title)))
    : null;
  const form = make(
    "form",
    {
      submit: async (event) => {
        event.preventDefault();
        confirm.disabled = true;
        wrong.textContent = "";
        try {
          await send(current());
          dialog.close();
          after();
        } catch (error) {
          wrong.textContent = t("refused", told(error));
        }
        confirm.disabled = false;
      },
    },
    make("h2", { id: "ordertitle" }, title),
    group,
    ...extra,
    warning,
    wrong,
    make("div", { class: "buttons" }, make("button", { type: "button", click: () => dialog.close() }, t("cancel")), confirm),
  );
  dialog.replaceChildren(form);
  consider();
  dialog.showModal();
  return confirm;
}

// backend: {service, name, state, admin, weight, last}
export function orderBackend(backend) {
  const warning = backend.last ? t("lastone") : "";
  const weight = make("input", { type: "number", min: 1, max: 100, step: 1, value: backend.weight, id: "orderweight" });
  ask(
    t("orderbackend", `${backend.name} (${backend.service})`),
    [
      { value: "ready", title: t("toready") },
      { value: "drain", title: t("todrain"), warning },
      { value: "maint", title: t("tomaint"), warning },
    ],
    {
      chosen: backend.admin,
      extra: [make("label", {}, `${t("weight")} (1–100) `, weight)],
      danger: (state) => state !== "ready" && state !== backend.admin,
      send: (state) => {
        const order = {};
        if (state !== backend.admin) order.state = state;
        if (Number(weight.value) !== backend.weight) order.weight = Number(weight.value);
        if (!Object.keys(order).length) order.state = state;
        return post(`/services/${part(backend.service)}/backends/${part(backend.name)}`, order);
      },
    },
  );
}

export function orderListener(name, accepting) {
  ask(
    t("orderlistener", name),
    [
      { value: "open", title: t("open_listener"), disabled: accepting },
      { value: "drain", title: t("close_listener"), disabled: !accepting },
    ],
    {
      chosen: accepting ? "drain" : "open",
      danger: (order) => order === "drain",
      send: (order) => post(`/listeners/${part(name)}/${order}`, {}),
    },
  );
}

// place: {listener} or {service}; messages: names of requests
export function orderMessage(place, messages) {
  const select = make("select", { id: "ordermessage" }, ...messages.map((name) => make("option", { value: name }, name)));
  const name = place.listener || place.service;
  ask(
    `${t("switchmessage")}: ${name}`,
    [
      { value: "off", title: t("off") },
      { value: "on", title: t("on") },
    ],
    {
      chosen: "off",
      extra: [make("label", {}, `${t("message")} `, select)],
      danger: (state) => state === "off",
      send: (state) => post(`/messages/${part(select.value)}`, { state, ...place }),
    },
  );
}

export function switchOn(halted) {
  const place = {};
  if (halted.listener) place.listener = halted.listener;
  if (halted.service) place.service = halted.service;
  const where = halted.listener || halted.service || t("everywhere");
  ask(`${t("switchon")}: ${halted.message} (${where})`, [], { send: () => post(`/messages/${part(halted.message)}`, { state: "on", ...place }) });
}

// service: {name, telegram, standsBy, best}; `best`: a better priority than the one in use might be fit.
export function orderService(service) {
  const choices = [{ value: "failback", title: t("failback"), disabled: !service.best }];
  if (service.telegram && service.standsBy) choices.push({ value: "promote", title: t("promote") });
  if (service.telegram && !service.standsBy) choices.push({ value: "demote", title: t("demote"), warning: t("demotewarning") });
  ask(t("orderservice", service.name), choices, {
    chosen: service.best ? "failback" : service.standsBy ? "promote" : "", // nobody is taken out of use by a mere Enter
    of: "order",
    danger: (order) => order === "demote",
    send: (order) => (order === "failback" ? post(`/services/${part(service.name)}/failback`, {}) : post(`/${order}`, { service: service.name })),
  });
}

export function orderStanding(order) {
  ask(t(`${order}router`), [], { extra: [make("p", {}, t(`${order}hint`))], danger: () => order === "demote", send: () => post(`/${order}`, {}) });
}

// What a reload would do is shown before it is done.
export function orderReload() {
  const place = make("div", { class: "report", role: "status", tabindex: "0" }, make("p", {}, t("checking")));
  const apply = ask(t("reload"), [], {
    extra: [place],
    verb: "apply",
    send: async () => {
      const done = await post("/reload", {});
      if (done.applied) return;
      place.replaceChildren(...report(done));
      throw new Error(t("notsound"));
    },
  });
  apply.disabled = true;
  post("/reload", { dry_run: true }).then(
    (found) => {
      place.replaceChildren(...report(found));
      apply.disabled = found.problems.length > 0;
    },
    (error) => place.replaceChildren(make("p", { class: "bad-ink" }, t("refused", told(error)))),
  );
}

function report(found) {
  const list = (title, rows, ink = "") => (rows.length ? [make("h3", {}, t(title)), make("ul", { class: ink }, ...rows.map((row) => make("li", {}, row)))] : []);
  const problem = (each) => {
    const place = each.line ? `${each.file}:${each.line}` : each.file;
    return [each.code, place, each.key].filter(Boolean).join(" ") + `: ${each.what}` + (each.expected ? ` (${t("expected", each.expected)})` : "") + (each.do ? ` — ${each.do}` : "");
  };
  const differs = ["added", "removed", "changed", "restart"].filter((key) => found[key].length);
  const summary = found.problems.length ? "notsound" : differs.length ? "wouldchange" : "nochange";
  return [
    make("p", { class: found.problems.length ? "bad-ink" : "" }, t(summary)),
    ...(found.problems.length ? [make("ul", { class: "bad-ink" }, ...found.problems.map((each) => make("li", {}, problem(each))))] : []),
    ...differs.flatMap((key) => list(key, found[key])),
    ...list("warnings", found.warnings.map(problem), "warn-ink"),
  ];
}
