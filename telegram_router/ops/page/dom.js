// Elements made and changed by text alone: nothing here makes HTML of a string, so nothing that a peer sends can become any.

import { t } from "./words.js";

export const $ = (id) => document.getElementById(id);

// make("p", {class: "hint"}, "text", another) - attributes that are functions listen to the event of their name.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

// Set only what is different: at one look a second most is not.
export function put(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function mark(node, name) {
  if (node.className !== name) node.className = name;
}

export const show = (node, yes) => {
  if (node.hidden === yes) node.hidden = !yes;
};

const numbers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const count = (value) => numbers.format(value);
export const rate = (value) => (value === 0 ? "0" : value < 10 ? value.toFixed(1) : numbers.format(value));

export function lasting(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function within(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  return `${Math.round(seconds)} s`;
}

// Columns: {title, cell(row) -> text or node, number, class, order(row)}. The rows that are beyond `most` are counted only.
export class Table {
  constructor(place, label, columns, { most = 200, rowClass = () => "" } = {}) {
    Object.assign(this, { place, label, columns, most, rowClass, sorted: null, down: false, rows: [] });
    this.body = make("tbody");
    this.note = make("p", { class: "empty" });
    this.head = make("tr");
    this.region = make("div", { class: "scroll", role: "region", tabindex: "0" }, make("table", {}, make("thead", {}, this.head), this.body));
    place.replaceChildren(this.region, this.note);
    this.translate();
  }

  translate() {
    this.region.setAttribute("aria-label", t(this.label));
    this.head.replaceChildren(...this.columns.map((column) => this.heading(column)));
    this.draw();
  }

  heading(column) {
    const title = t(column.title);
    const cell = make("th", { scope: "col", class: column.number ? "number" : null });
    if (!column.order) cell.append(title);
    else {
      cell.append(make("button", { type: "button", click: () => this.sort(column) }, title, this.sorted === column ? (this.down ? " ▼" : " ▲") : ""));
      if (this.sorted === column) cell.setAttribute("aria-sort", this.down ? "descending" : "ascending");
    }
    return cell;
  }

  sort(column) {
    this.down = this.sorted === column ? !this.down : true;
    this.sorted = column;
    const place = this.columns.indexOf(column);
    this.translate();
    this.head.children[place].firstChild.focus();
  }

  fill(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    let rows = this.rows;
    if (this.sorted) {
      const { order } = this.sorted;
      const way = this.down ? -1 : 1;
      rows = [...rows].sort((a, b) => (order(a) < order(b) ? -way : order(a) > order(b) ? way : 0));
    }
    const shown = rows.slice(0, this.most);
    const held = this.body.contains(document.activeElement) ? document.activeElement : null;
    while (this.body.rows.length > shown.length) this.body.deleteRow(-1);
    shown.forEach((row, place) => {
      const line = this.body.rows[place] || this.body.insertRow();
      mark(line, this.rowClass(row));
      this.columns.forEach((column, at) => {
        const cell = line.cells[at] || line.insertCell();
        mark(cell, [column.number ? "number" : "", column.class || ""].join(" ").trim());
        const value = column.cell(row);
        if (value instanceof Node) {
          if (cell.firstChild !== value) cell.replaceChildren(value);
        } else put(cell, value);
      });
    });
    if (held && held.isConnected && document.activeElement !== held) held.focus({ preventScroll: true });
    put(this.note, rows.length > shown.length ? t("more", count(rows.length - shown.length)) : rows.length ? "" : t("none"));
    show(this.note, rows.length !== shown.length || rows.length === 0);
  }
}
