"""Style and script of the HTML document: light and dark, screen and paper, nothing from elsewhere."""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2430; --soft: #5b6676; --line: #dfe4ea; --wash: #f5f7f9; --accent: #1f5fbf; --mark: #fff3bf;
  --c0: #d9e8fb; --c1: #d8f0dd; --c2: #fce5cf; --c3: #eadcf8; --c4: #d3eef0; --c5: #fbdce4; --c6: #eeebc6; --c7: #e0e3f7;
  --none: repeating-linear-gradient(135deg, #eef1f4 0 3px, #f8fafb 3px 6px);
  --cell: 1.5rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181e; --ink: #e4e9ef; --soft: #97a3b2; --line: #2c3440; --wash: #1b2129; --accent: #7db0ff; --mark: #4a3f10;
    --c0: #1f3d63; --c1: #1f4a2f; --c2: #573a1b; --c3: #41296a; --c4: #194b50; --c5: #5a2536; --c6: #4a4717; --c7: #303868;
    --none: repeating-linear-gradient(135deg, #1d242c 0 3px, #181e25 3px 6px);
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body {
  margin: 0; background: var(--paper); color: var(--ink); display: grid; grid-template-columns: 17rem minmax(0, 1fr);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", "Noto Sans CJK KR", sans-serif;
  word-break: keep-all; overflow-wrap: break-word;
}
code, .map, .mono { font-family: "D2Coding", ui-monospace, "Cascadia Mono", "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK KR", monospace; font-size: .86em; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.4rem 1.1rem 2rem; border-right: 1px solid var(--line);
  background: var(--wash); font-size: .88rem;
}
nav strong { display: block; font-size: 1rem; line-height: 1.35; margin-bottom: .9rem; }
nav input {
  width: 100%; padding: .45rem .65rem; margin-bottom: .9rem; font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--line); border-radius: .45rem;
}
nav input:focus { outline: 2px solid var(--accent); outline-offset: 1px; }
nav ol { list-style: none; margin: 0 0 1rem; padding: 0; }
nav li a { display: block; padding: .24rem .5rem; border-radius: .35rem; color: inherit; }
nav li a:hover { background: var(--line); text-decoration: none; }
nav small { display: block; color: var(--soft); line-height: 1.3; }
main { padding: 2.2rem clamp(1rem, 2.5vw, 2.6rem) 6rem; max-width: 86rem; }
h1 { font-size: 1.9rem; line-height: 1.25; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .4rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .5rem; color: var(--soft); font-weight: 600; }
.about { color: var(--soft); margin: 0 0 2rem; }
section { margin: 3.2rem 0 0; padding-top: 1.4rem; border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); margin: 0; border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
dt, dd { margin: 0; padding: .42rem .9rem; border-top: 1px solid var(--line); }
dt:first-of-type, dd:first-of-type { border-top: 0; }
dt { color: var(--soft); background: var(--wash); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .38rem .55rem; border-top: 1px solid var(--line); }
thead th { border-top: 0; background: var(--wash); color: var(--soft); font-weight: 600; font-size: .8rem; white-space: nowrap; }
th.n { text-align: right; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.t { min-width: 9rem; overflow-wrap: anywhere; }
td.rule { min-width: 6rem; }
.whole { white-space: nowrap; }
td.masked, td.clear, td.m { white-space: nowrap; }
td.v, td.hex { overflow-wrap: anywhere; }
td.v { min-width: 7rem; }
td.hex { min-width: 11rem; max-width: 26rem; }
td ul { list-style: none; margin: 0; padding: 0; min-width: 9rem; }
tr.heading td { background: var(--wash); color: var(--soft); }
tr.heading b { font-weight: 600; color: var(--ink); margin-right: .5rem; }
tr.reserved td { color: var(--soft); }
tr.on td { background: var(--mark); }
.in { display: inline-block; border-left: 2px solid var(--line); width: .9rem; height: 1em; vertical-align: -.15em; }
.chip {
  display: inline-block; padding: .06rem .55rem; margin: 0 .3rem .3rem 0; border: 1px solid var(--line); border-radius: 1rem;
  background: var(--wash); font-size: .82rem;
}
td.masked { color: var(--soft); }
.swatch {
  display: inline-block; min-width: 1.5rem; text-align: center; border-radius: .25rem; padding: 0 .25rem;
  font-family: ui-monospace, Consolas, monospace; font-size: .82rem;
}
.c0 { background: var(--c0); } .c1 { background: var(--c1); } .c2 { background: var(--c2); } .c3 { background: var(--c3); }
.c4 { background: var(--c4); } .c5 { background: var(--c5); } .c6 { background: var(--c6); } .c7 { background: var(--c7); }
.none { background: var(--none); }
.map { overflow-x: auto; padding: .8rem .9rem; border: 1px solid var(--line); border-radius: .6rem; font-size: .82rem; line-height: 1.45rem; }
.map div { display: flex; width: max-content; }
.map .o { flex: none; width: 3.2rem; padding-right: .7rem; text-align: right; color: var(--soft); user-select: none; }
.map .r { display: flex; border-radius: .2rem; margin: 1px 0; box-shadow: inset -1px 0 var(--paper); }
.map .r.on { outline: 2px solid var(--accent); outline-offset: -1px; }
.map b { flex: none; width: var(--cell); text-align: center; font-weight: 400; white-space: pre; overflow: hidden; }
.map b.w { width: calc(2 * var(--cell)); }
.map .ruler b { color: var(--soft); font-size: .7rem; }
.map .ruler b.ten { color: var(--ink); font-weight: 700; }
.flow { display: grid; gap: .5rem; margin: 0; padding: 0; list-style: none; }
.flow li { display: grid; grid-template-columns: minmax(0, 1fr) auto minmax(0, 1fr); gap: .8rem; align-items: center; padding: .5rem .9rem; border: 1px solid var(--line); border-radius: .6rem; }
.flow .arrow { color: var(--accent); white-space: nowrap; font-size: .85rem; }
.flow small { color: var(--soft); display: block; }
[hidden] { display: none !important; }
@media (max-width: 60rem) {
  body { grid-template-columns: minmax(0, 1fr); }
  nav { position: static; height: auto; border-right: 0; border-bottom: 1px solid var(--line); }
  nav ol { max-height: 14rem; overflow-y: auto; }
}
@media print {
  :root { color-scheme: light; font-size: 10.5px; }
  body { display: block; font-size: 1rem; }
  nav input, nav { display: none; }
  main { padding: 0; max-width: none; }
  section { break-inside: auto; margin-top: 1.6rem; }
  section.message { break-before: page; border-top: 0; }
  h2, h3 { break-after: avoid; }
  tr, .map div, .flow li { break-inside: avoid; }
  thead { display: table-header-group; }
  .wide, .map { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT: Final = """
const search = document.getElementById("search");
const parts = [...document.querySelectorAll("[data-search]")];
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const part of parts) {
    const target = part.matches("li") ? document.getElementById(part.dataset.search) : part;
    const text = target.textContent.toLowerCase();
    part.hidden = !words.every(word => text.includes(word));
  }
});
// A field and its bytes light up together.
for (const section of document.querySelectorAll("section.message")) {
  const light = (event, on) => {
    const field = event.target.closest("[data-f]");
    if (!field) return;
    for (const each of section.querySelectorAll(`[data-f="${field.dataset.f}"]`)) each.classList.toggle("on", on);
  };
  section.addEventListener("mouseover", event => light(event, true));
  section.addEventListener("mouseout", event => light(event, false));
}
"""
