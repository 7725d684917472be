// Orders of an operator: what may be chosen, what it will do, and one button that carries it out.

import { part, post } from "./api.js";
import { $, make } from "./dom.js";
import { t } from "./words.js";

let after = () => {};
export const whenDone = (call) => (after = call);

// choices: [{value, title, warning}] or none; extra: further elements; send(form) -> promise of the answer.
function ask(title, choices, { chosen = "", extra = [], danger = () => false, send }) {
  const dialog = $("order");
  const wrong = make("p", { role: "alert", class: "bad-ink" });
  const warning = make("p", { class: "warn-ink", "aria-live": "polite" });
  const confirm = make("button", { type: "submit", class: "primary" }, t("confirm"));
  const radios = choices.map((choice) => make("input", { type: "radio", name: "choice", value: choice.value, checked: choice.value === chosen, disabled: choice.disabled }));
  const current = () => radios.find((radio) => radio.checked)?.value ?? "";
  const consider = () => {
    warning.textContent = choices.find((choice) => choice.value === current())?.warning || "";
    confirm.className = danger(current()) ? "primary danger" : "primary";
  };
  radios.forEach((radio) => radio.addEventListener("change", consider));
  const group = choices.length
    ? make("fieldset", {}, make("legend", {}, t("state")), ...choices.map((choice, at) => make("label", {}, radios[at], " ", choice.title)))
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
          wrong.textContent = t("refused", [error.message, error.todo].filter(Boolean).join(" — "));
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
