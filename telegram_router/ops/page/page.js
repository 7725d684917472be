// The page: looks at the router once a second while it is seen, and shows what it saw.

import { Refused, get, hasToken, keep } from "./api.js";
import { Bars, Lines } from "./charts.js";
import { $, count, lasting, make, put, rate, show, within } from "./dom.js";
import { Connections, Errors } from "./lists.js";
import { Looks } from "./looks.js";
import { orderReload, orderStanding, switchOn, whenDone } from "./orders.js";
import { Inspector, Tail } from "./telegrams.js";
import { Topology } from "./topology.js";
import { choose, languages, locale, t, translate } from "./words.js";

const EVERY = 1000;
const RETRY = 1000;

const looks = new Looks();
const topology = new Topology(looks);
const connections = new Connections();
const errors = new Errors(() => open("inspector", true));
const tail = new Tail();
const inspector = new Inspector();
const rates = new Lines($("ratechart"), [{ mark: "one" }, { mark: "two" }, { mark: "three" }], rate);
const latency = new Lines($("latencychart"), [{ mark: "one" }, { mark: "three" }], within, { logarithmic: true });
const results = new Bars($("resultchart"), () => t("nothing"));

let view = "";
let timer = 0;
let busy = false;
let seenAt = null;
let errorsSeen = null;

// --- one look

async function look() {
  clearTimeout(timer);
  if (busy || document.hidden || $("login").open) return;
  busy = true;
  let next = EVERY;
  try {
    const changed = looks.add(await get(`/overview?shape=${looks.shape}`));
    const operator = looks.now.role === "operator";
    if (changed || operator !== topology.operator) {
      topology.build(operator);
      inspector.specs(Object.keys(looks.names.specs));
    }
    seenAt = new Date();
    show($("lost"), false);
    draw();
    if (view === "connections") await connections.look();
    if (view === "errors") await errors.look(looks.now.errors);
  } catch (error) {
    next = RETRY;
    if (error instanceof Refused && error.status === 401) login();
    else lose(error);
  }
  busy = false;
  timer = setTimeout(look, next);
}

function lose(error) {
  const frozen = seenAt === null ? "" : ` ${t("frozen", seenAt.toLocaleTimeString(locale()))}`;
  put($("lost"), t("lost", error.message) + frozen);
  show($("lost"), true);
}

// --- what was seen

function draw() {
  const { now, names, latest } = looks;
  put($("version"), names.version);
  put($("state"), `${t(now.draining ? "draining" : now.ready ? "ready" : now.standby === "active" ? "starting" : now.standby)} · ${t("uptime", lasting(now.uptime_s))}`);
  put($("role"), t(now.role));
  show($("signout"), hasToken());
  put($("errorcount"), now.errors ? count(now.errors) : "");
  if (errorsSeen === null || view === "errors") errorsSeen = now.errors;
  $("errorcount").classList.toggle("bad-ink", now.errors > errorsSeen);
  if (view === "overview") drawOverview(now, latest);
}

function drawOverview(now, latest) {
  const series = { received: looks.rates("received"), answered: looks.rates("answered"), failed: looks.rates("failed") };
  const newest = (key) => (series[key].length ? series[key].at(-1)[1] : 0);
  figures([
    ["received", rate(newest("received"))],
    ["answered", rate(newest("answered"))],
    ["failed", rate(newest("failed"))],
    ["open", count(now.open_exchanges)],
    ["pending", count(latest.pending)],
    ["sessionsnow", count(latest.sessions)],
    ["unknown", count(latest.unknown)],
    ["dropped", count(now.log_lines_dropped)],
  ]);
  rates.draw(t("chartrate"), [t("linereceived"), t("lineanswered"), t("linefailed")], [series.received, series.answered, series.failed]);
  latency.draw(t("chartlatency"), [t("half"), t("most")], [looks.latencies(0.5), looks.latencies(0.99)]);
  results.draw(looks.results().map(([code, value]) => [code, value, code !== "ok"]));
  halted(now.halted);
  acts(now.standby);
  topology.update();
}

function figures(rows) {
  const place = $("figures");
  rows.forEach(([key, value], at) => {
    const one = place.children[at] || place.appendChild(make("div", {}, make("dt"), make("dd")));
    put(one.children[0], t(key));
    put(one.children[1], value);
  });
}

let actsShown = "";

// Orders about the whole router.
function acts(standby) {
  const wanted = JSON.stringify([standby, locale(), topology.operator]);
  if (wanted === actsShown) return;
  actsShown = wanted;
  const order = { standby: "promote", active: "demote" }[standby];
  const held = $("routeracts").contains(document.activeElement) ? document.activeElement.id : "";
  $("routeracts").replaceChildren(
    ...(topology.operator ? [make("button", { type: "button", id: "reload", click: orderReload }, t("reloadact"))] : []),
    ...(topology.operator && order ? [make("button", { type: "button", id: "standing", click: () => orderStanding(order) }, `${t(`${order}router`)}…`)] : []),
  );
  if (held && $(held)) $(held).focus();
}

let haltedShown = "";

function halted(list) {
  const wanted = JSON.stringify([list, locale(), topology.operator]);
  if (wanted === haltedShown) return;
  haltedShown = wanted;
  $("halted").replaceChildren(
    ...(list.length
      ? [make("h2", {}, `${t("halted")} · ${t("differs")}`), ...list.map((each) => make("p", {}, make("b", {}, each.message), " ", each.listener ? `${t("listener")} ${each.listener}` : each.service ? `${t("service")} ${each.service}` : t("everywhere"), " ", topology.operator ? make("button", { type: "button", class: "small", click: () => switchOn(each) }, t("switchon")) : ""))]
      : []),
  );
}

// --- getting about

const VIEWS = ["overview", "connections", "errors", "tail", "inspector"];

function open(name, focus = false) {
  view = VIEWS.includes(name) ? name : "overview";
  for (const each of VIEWS) show($(each), each === view);
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (location.hash !== `#${view}`) history.replaceState(null, "", `#${view}`);
  if (focus) $(view === "inspector" ? "inspecttext" : "main").focus();
  if (looks.now) draw();
  look();
}

function login() {
  if ($("login").open) return;
  put($("loginwrong"), hasToken() ? t("tokenwrong") : "");
  $("token").value = "";
  $("login").showModal();
}

function speak(language, chosen = false) {
  choose(language, chosen);
  translate();
  connections.translate();
  errors.translate();
  tail.translate();
  inspector.translate();
  if (looks.names) {
    topology.build(topology.operator);
    inspector.specs(Object.keys(looks.names.specs));
    draw();
  }
}

$("language").value = languages();
$("language").addEventListener("change", () => speak($("language").value, true));
$("signout").addEventListener("click", () => {
  keep("");
  location.reload();
});
$("loginform").addEventListener("submit", (event) => {
  event.preventDefault();
  keep($("token").value.trim());
  $("login").close();
  look();
});
$("login").addEventListener("cancel", (event) => event.preventDefault());
for (const button of document.querySelectorAll("nav button")) button.addEventListener("click", () => open(button.dataset.view));
addEventListener("hashchange", () => open(location.hash.slice(1)));
document.addEventListener("visibilitychange", look);
whenDone(look);
speak(languages());
open(location.hash.slice(1) || "overview");
