// Lines over time and bars, drawn as SVG.

import { make, svg, put } from "./dom.js";

const WIDTH = 420;
const HEIGHT = 150;
const LEFT = 52;
const BOTTOM = 18;
const TOP = 8;
const SPANS = [[60, [40, 20, 0]], [120, [90, 60, 30, 0]], [300, [240, 180, 120, 60, 0]]]; // seconds, and where the ticks are

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

// Lines: {key, title, mark}. Points: [seconds ago, value or null]. `shown` writes a value; `logarithmic` scales by powers of ten.
export class Lines {
  constructor(place, lines, shown, { logarithmic = false } = {}) {
    Object.assign(this, { lines, shown, logarithmic });
    this.grid = svg("g");
    this.drawn = lines.map((line) => svg("polyline", { class: line.mark }));
    this.chart = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, this.grid, ...this.drawn);
    this.values = lines.map(() => make("b"));
    this.titles = lines.map(() => make("span"));
    this.legend = make("div", { class: "legend" }, ...lines.map((line, at) => {
      const sample = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, svg("line", { x1: 0, y1: 4, x2: 22, y2: 4, class: line.mark, "stroke-width": 2.5 }));
      return make("span", {}, sample, this.titles[at], " ", this.values[at]);
    }));
    place.replaceChildren(this.chart, this.legend);
  }

  draw(title, names, series) {
    const known = series.flat().filter((point) => point[1] !== null).map((point) => point[1]);
    const most = Math.max(...known, this.logarithmic ? 1e-3 : 1);
    const least = this.logarithmic ? Math.min(...known, most) : 0;
    const scale = this.logarithmic ? this.powers(least, most) : this.even(most);
    const oldest = Math.max(0, ...series.map((points) => (points.length ? points[0][0] : 0)));
    const [span, times] = SPANS.find((each) => each[0] >= oldest) || SPANS.at(-1);
    const x = (ago) => LEFT + (WIDTH - LEFT - 4) * (1 - Math.min(ago, span) / span);
    this.grid.replaceChildren(
      ...scale.ticks.flatMap((value) => {
        const y = scale.y(value);
        const text = svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" });
        text.textContent = this.shown(value);
        return [svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 4, y1: y, y2: y }), text];
      }),
      ...times.map((ago) => {
        const text = svg("text", { x: x(ago), y: HEIGHT - 4, "text-anchor": ago ? "middle" : "end" });
        text.textContent = ago ? `−${ago} s` : "0";
        return text;
      }),
    );
    series.forEach((points, at) => {
      const path = points.filter((point) => point[1] !== null).map(([ago, value]) => `${x(ago).toFixed(1)},${scale.y(value).toFixed(1)}`).join(" ");
      this.drawn[at].setAttribute("points", path);
      const last = points.length ? points[points.length - 1][1] : null;
      put(this.titles[at], names[at]);
      put(this.values[at], last === null ? "–" : this.shown(last));
    });
    this.chart.setAttribute("aria-label", `${title}: ${names.map((name, at) => `${name} ${this.values[at].textContent}`).join(", ")}`);
  }

  even(most) {
    const top = nice(most);
    return { ticks: [0, top / 2, top], y: (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top) };
  }

  powers(least, most) {
    const low = Math.floor(Math.log10(least));
    const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
    const ticks = [];
    for (let power = low; power <= high; power += Math.max(1, Math.ceil((high - low) / 4))) ticks.push(10 ** power);
    return { ticks, y: (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) };
  }
}

// Rows: [title, value, bad].
export class Bars {
  constructor(place, empty) {
    this.place = make("div", { class: "bars" });
    this.note = make("p", { class: "empty" });
    this.empty = empty;
    place.replaceChildren(this.place, this.note);
  }

  draw(rows) {
    const most = Math.max(1, ...rows.map((row) => row[1]));
    while (this.place.children.length > rows.length * 3) this.place.lastChild.remove();
    rows.forEach(([title, value, bad], at) => {
      if (this.place.children.length <= at * 3) this.place.append(make("span"), svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("rect", { height: 10 })), make("output"));
      const [name, bar, number] = [0, 1, 2].map((place) => this.place.children[at * 3 + place]);
      put(name, title);
      name.className = bad ? "bad-ink" : "good-ink";
      bar.firstChild.setAttribute("width", Math.max(1, (100 * value) / most).toFixed(1));
      bar.setAttribute("class", bad ? "bad-bar" : "good-bar");
      put(number, value.toLocaleString("en-US"));
    });
    put(this.note, rows.length ? "" : this.empty());
    this.note.hidden = rows.length > 0;
  }
}
