// What was seen of the router second by second: names, the newest numbers, and what happened between two looks. Pure.

const KEPT = 310; // looks, about five minutes
export const SPAN = 300; // seconds that charts show

const sum = (values) => values.reduce((all, value) => all + value, 0);

// The named numbers of one look.
function read(look) {
  return {
    at: look.uptime_s,
    received: sum(look.listeners.map((row) => row[2])),
    refused: sum(look.listeners.map((row) => row[4])),
    sessions: sum(look.listeners.map((row) => row[1])),
    answered: sum(look.services.map((row) => row[2])),
    failed: sum(look.routes.map((row) => row[1])),
    pending: sum(look.services.map((row) => row[1])),
    late: sum(look.services.map((row) => row[4])),
    unknown: sum(look.services.map((row) => row[5])),
    latency: together(look.services.map((row) => row[7])),
    results: look.results,
  };
}

function together(all) {
  const counts = new Array(32).fill(0);
  for (const [first, ...some] of all) some.forEach((value, place) => (counts[first + place] += value));
  return counts;
}

// The time in seconds that this share of the answers took at most; counts[i] took less than 2**i microseconds.
export function quantile(counts, share) {
  const wanted = sum(counts) * share;
  let seen = 0;
  for (let place = 0; place < counts.length; place += 1) {
    seen += counts[place];
    if (counts[place] > 0 && seen >= wanted) return 2 ** place / 1e6;
  }
  return null;
}

const minus = (after, before) => after.map((value, place) => Math.max(0, value - (before[place] || 0)));

export class Looks {
  constructor() {
    this.names = null;
    this.now = null;
    this.before = null;
    this.history = [];
  }

  // True when the names are others than before.
  add(look) {
    const changed = look.names !== null;
    const anew = this.now !== null && (look.uptime_s < this.now.uptime_s || (changed && this.names && look.names.started_at !== this.names.started_at));
    if (anew) this.history = [];
    if (changed) this.names = look.names;
    if (this.now !== null && look.seq === this.now.seq && !changed) return false;
    this.before = anew || changed ? null : this.now;
    this.now = look;
    this.history.push(read(look));
    if (this.history.length > KEPT) this.history.shift();
    return changed;
  }

  get shape() {
    return this.now === null ? 0 : this.now.shape;
  }

  // A second, of the number at that place of a row.
  rate(kind, row, place) {
    if (this.before === null || this.before[kind].length !== this.now[kind].length) return 0;
    const seconds = Math.max(0.2, this.now.uptime_s - this.before.uptime_s);
    return Math.max(0, (this.now[kind][row][place] - this.before[kind][row][place]) / seconds);
  }

  // How long the answers of a service took, between the last two looks.
  took(row) {
    if (this.before === null || this.before.services.length !== this.now.services.length) return [null, null];
    const counts = minus(together([this.now.services[row][7]]), together([this.before.services[row][7]]));
    return [quantile(counts, 0.5), quantile(counts, 0.99)];
  }

  // Points [seconds ago, value] of what happened a second.
  rates(key) {
    return this.pairs((one, other, seconds) => Math.max(0, (other[key] - one[key]) / seconds));
  }

  latencies(share) {
    return this.pairs((one, other) => quantile(minus(other.latency, one.latency), share));
  }

  pairs(value) {
    const last = this.history.at(-1);
    const points = [];
    for (let at = 1; at < this.history.length; at += 1) {
      const [one, other] = [this.history[at - 1], this.history[at]];
      if (last.at - other.at <= SPAN) points.push([last.at - other.at, value(one, other, Math.max(0.2, other.at - one.at))]);
    }
    return points;
  }

  get latest() {
    return this.history.at(-1);
  }

  // How requests ended within what is remembered: [code, count], "ok" first, then the most frequent.
  results() {
    if (this.history.length < 2) return [];
    const [first, last] = [this.history[0].results, this.latest.results];
    const rows = Object.entries(last).map(([code, value]) => [code, value - (first[code] || 0)]).filter((row) => row[1] > 0);
    return rows.sort((a, b) => (a[0] === "ok" ? -1 : b[0] === "ok" ? 1 : b[1] - a[1]));
  }
}
