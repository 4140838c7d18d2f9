// Tables: sorting by a click on a column's name, filtering, the hint that a box scrolls, and the copy buttons.
"use strict";
const FILTERED_FROM = 9;  // rows
const key = cell => {
  if (!("sort" in cell.dataset)) return cell.textContent;
  return Number(cell.dataset.sort.replace("inf", "Infinity"));
};
const compare = (a, b) => typeof a === "number" && typeof b === "number" ? (a > b) - (a < b)
  : String(a).localeCompare(String(b), "en", {numeric: true});
const sortable = table => {
  for (const button of table.querySelectorAll("th button")) button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => sign * compare(key(a.cells[head.cellIndex]), key(b.cells[head.cellIndex])));
    body.append(...rows);
  });
};

// A filter is words that a row must contain, and comparisons of a column's numbers: smp sparsity>=0.8 "trained weights">0
const RELATIONS = {">": (a, b) => a > b, "<": (a, b) => a < b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b,
  "=": (a, b) => a === b, "!=": (a, b) => a !== b};
const lower = text => text.trim().toLowerCase();
const condition = (term, columns) => {
  const [, name, relation, number] = term.match(/^(.+?)(>=|<=|!=|>|<|=)(-?\d*\.?\d+(?:e[+-]?\d+)?)$/) ?? [];
  const column = name === undefined ? -1 : columns.indexOf(name);
  if (column < 0) return Object.assign(row => lower(row.textContent).includes(term), {unknown: name});
  const holds = value => Number.isFinite(value) && RELATIONS[relation](value, Number(number));  // none where it is missing
  const displayed = cell => Number.parseFloat(cell.textContent.replaceAll(",", ""));  // 0.6626, where 0.66256 is meant
  return row => relation === "=" && displayed(row.cells[column]) === Number(number) || holds(key(row.cells[column]));
};
const conditions = (text, columns) => {
  const terms = lower(text).match(/(?:"[^"]*"?|[^\s"])+/g) ?? [];
  return terms.map(term => condition(term.replaceAll('"', ""), columns));
};
const filterable = table => {
  const rows = [...table.tBodies[0].rows], columns = [...table.tHead.rows[0].cells].map(cell => lower(cell.textContent));
  if (rows.length < FILTERED_FROM) return;
  const box = document.createElement("p"), label = document.createElement("label");
  const input = document.createElement("input"), count = document.createElement("span");
  box.className = "filter";
  input.type = "search";
  input.placeholder = columns.includes("sparsity") ? "words, or sparsity>0.8" : "words";
  count.setAttribute("aria-live", "polite");
  label.append("Filter rows: ", input);
  box.append(label, " ", count);
  const apply = () => {
    const all = conditions(input.value, columns);
    for (const row of rows) row.hidden = !all.every(holds => holds(row));
    const shown = rows.filter(row => !row.hidden).length;
    const unknown = all.map(holds => holds.unknown).filter(name => name !== undefined && !shown);
    count.textContent = (all.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`)
      + unknown.map(name => `; no column is called ${name}`).join("");
  };
  input.addEventListener("input", apply);
  apply();
  table.closest(".wide").before(box);
};

// A box that is wider than the page says so, and can be reached with the keyboard; others are no stop.
const boxes = new ResizeObserver(entries => {
  for (const {target} of entries) {
    const scrolls = target.scrollWidth > target.clientWidth + 1;
    const hint = target.previousElementSibling?.classList.contains("hint") ? target.previousElementSibling : null;
    target.tabIndex = scrolls ? 0 : -1;
    target.setAttribute("aria-label", target.getAttribute("aria-label").split(";")[0] + (scrolls ? "; scrolls sideways" : ""));
    if (scrolls && !hint) {
      const text = document.createElement("p");
      text.className = "hint";
      text.textContent = "scrolls sideways →";
      target.before(text);
    } else if (!scrolls && hint) hint.remove();
  }
});
const watch = box => boxes.observe(box);
for (const table of document.querySelectorAll("table")) { sortable(table); filterable(table); }
document.querySelectorAll(".wide").forEach(watch);
window.tables = {sortable, watch};  // for the tables that charts make

// Paper has all that is folded, and the figures in light colours.
const opened = [], sources = [...document.querySelectorAll("source")], screens = sources.map(source => source.media);
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) { details.open = true; opened.push(details); }
  for (const source of sources) source.media = "not all";
});
addEventListener("afterprint", () => {
  for (const details of opened.splice(0)) details.open = false;
  sources.forEach((source, i) => { source.media = screens[i]; });
});

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "copied"; }
    catch { getSelection().selectAllChildren(code); button.textContent = "selected"; }
  });
}
