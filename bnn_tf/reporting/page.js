"use strict";
// A click, or Enter and the space bar, on a column's head sorts by it; a second one turns the order round.
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table.tBodies[0], column, ascending, head.classList.contains("figure"));
    });
  });
}

function sort(body, column, ascending, figures) {
  const compare = figures ? (a, b) => Number(a) - Number(b) : (a, b) => a.localeCompare(b, "en", { numeric: true });
  const rows = [...body.rows].map((row) => [row, row.cells[column].dataset.key]);
  rows.sort(([, a], [, b]) => {
    // What is missing comes last in both orders.
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return ascending ? compare(a, b) : compare(b, a);
  });
  body.append(...rows.map(([row]) => row));
}

// Paper unfolds nothing: print what is folded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});
