// Sorting of the page's tables by a click on a column's name, and the buttons that copy a command.
"use strict";
const key = cell => {
  if (!("sort" in cell.dataset)) return cell.textContent;
  return Number(cell.dataset.sort.replace("inf", "Infinity"));
};
const compare = (a, b) => typeof a === "number" && typeof b === "number" ? (a > b) - (a < b)
  : String(a).localeCompare(String(b), "en", {numeric: true});
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const rows = [...body.rows].sort((a, b) => sign * compare(key(a.cells[head.cellIndex]), key(b.cells[head.cellIndex])));
    body.append(...rows);
  });
}
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    try { await navigator.clipboard.writeText(code.textContent); button.textContent = "copied"; }
    catch { getSelection().selectAllChildren(code); button.textContent = "selected"; }
  });
}
