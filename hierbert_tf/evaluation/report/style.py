"""How a report looks: narrow and wide screens, light and dark, on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2026; --quiet: #5b6370; --line: #dfe2e7; --panel: #f5f6f8;
  --blue: #1f5fa8; --orange: #b8501c; --shade: 31, 95, 168;
  --gold-back: #d5e6fa; --predicted-back: #fbe0d0; --both-back: #d6efd9; --green: #22713a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e4e7eb; --quiet: #9ba4b0; --line: #333a43; --panel: #1c2126;
    --blue: #78b1f2; --orange: #f0a071; --shade: 100, 165, 240;
    --gold-back: #1d3c60; --predicted-back: #5a3219; --both-back: #1d4a2a; --green: #7ccf93;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.15rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line);
}
h3 { font-size: 1rem; margin: 0 0 .25rem; }
.note { color: var(--quiet); margin: 0 0 1rem; max-width: 46rem; }
.headline { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
.headline > div {
  flex: 1 1 9.5rem; background: var(--panel); border-radius: 8px; padding: .7rem .9rem;
}
.headline dt { color: var(--quiet); font-size: .85rem; }
.headline dd { margin: 0; }
.headline strong { display: block; font-size: 1.6rem; line-height: 1.25; }
.headline span { color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr));
  gap: .4rem 1.5rem; margin: 0;
}
.facts dt { color: var(--quiet); font-size: .85rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.columns {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 0 2rem;
}
.columns > * { min-width: 0; }
figure { margin: 0; max-width: 500px; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: inherit !important; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); font-size: .85rem; padding-bottom: .35rem; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
thead th { color: var(--quiet); font-weight: 600; font-size: .85rem; vertical-align: bottom; }
tbody th { text-align: left; font-weight: 500; }
thead th:first-child { text-align: left; }
td small { display: block; color: var(--ink); font-size: .78rem; }
td.bar { min-width: 5.5rem; }
td.bar > i { display: block; height: 4px; border-radius: 2px; background: var(--line); }
td.bar > i > i { display: block; height: 4px; border-radius: 2px; background: var(--blue); }
article { background: var(--panel); border-radius: 8px; padding: .8rem 1rem; margin: 0 0 .9rem; }
article header {
  display: flex; flex-wrap: wrap; gap: 0 1rem; justify-content: space-between;
  color: var(--quiet); font-size: .85rem;
}
article header span { overflow-wrap: anywhere; }
.text {
  margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate;
}
.name { color: var(--quiet); font-size: .85rem; margin: .5rem 0 0; }
.name + .text { margin-top: 0; }
.verdict { margin: .3rem 0; overflow-wrap: anywhere; }
.question { font-weight: 600; }
bdi { unicode-bidi: isolate; }
.gold-name { color: var(--blue); font-weight: 600; }
.predicted-name { color: var(--orange); font-weight: 600; }
mark { color: inherit; border-radius: 3px; padding: 1px 0; }
mark.gold { background: var(--gold-back); box-shadow: inset 0 -2px var(--blue); }
mark.predicted {
  background: var(--predicted-back);
  text-decoration: underline dashed var(--orange) 2px; text-underline-offset: 3px;
}
mark.both {
  background: var(--both-back); box-shadow: inset 0 -2px var(--green);
  text-decoration: underline dashed var(--orange) 2px; text-underline-offset: 3px;
}
.cut { color: var(--quiet); user-select: none; }
.shares { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .4rem 0 0; padding: 0; }
.shares li { list-style: none; display: flex; align-items: center; gap: .45rem; font-size: .85rem; }
.shares i { display: inline-block; width: 60px; height: 6px; background: var(--line); }
.shares i > i { display: block; height: 6px; background: var(--quiet); }
.shares .is-gold i > i { background: var(--blue); }
.shares .is-predicted i > i { background: var(--orange); }
@media (max-width: 480px) {
  main { padding: 1rem .8rem 3rem; }
  h1 { font-size: 1.3rem; }
  .headline > div { flex-basis: 8rem; }
  .headline strong { font-size: 1.35rem; }
  .facts, .columns { grid-template-columns: 1fr; }
  table { font-size: .85rem; }
  thead th, caption { font-size: .78rem; }
  td small { font-size: .72rem; }
  th, td { padding: .3rem; }
  td.bar { min-width: 3.4rem; }
}
@media print {
  article { break-inside: avoid; }
  mark, article, .headline > div, td {
    print-color-adjust: exact; -webkit-print-color-adjust: exact;
  }
}
"""
