// Asks the admin API. The token, where one is asked for, is kept in this tab and sent as a header: there are no cookies, so that
// nobody else's page can have a browser send it.

let token = "";
try {
  token = sessionStorage.getItem("token") || "";
} catch {
  token = "";
}

export const hasToken = () => token !== "";

export function keep(other) {
  token = other;
  try {
    if (other) sessionStorage.setItem("token", other);
    else sessionStorage.removeItem("token");
  } catch {
    // then it is kept as long as the page
  }
}

export class Refused extends Error {
  constructor(status, code, what, todo) {
    super(`${code} ${what}`);
    Object.assign(this, { status, code, what, todo });
  }
}

function headers(more = {}) {
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function refusal(response) {
  let body = {};
  try {
    body = await response.json();
  } catch {
    // not ours
  }
  return new Refused(response.status, body.code || "", body.what || response.statusText, body.do || "");
}

export async function get(path) {
  const response = await fetch(path, { headers: headers(), cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(10000) });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(body),
    credentials: "omit",
    signal: AbortSignal.timeout(12000),
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// JSON lines, each given to `take`, until the signal.
export async function follow(path, signal, take) {
  const response = await fetch(path, { headers: headers(), cache: "no-store", credentials: "omit", signal });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    const found = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    if (found.length) take(found);
  }
}

export const part = (name) => encodeURIComponent(name);
