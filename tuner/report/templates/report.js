"use strict";
// Sorting by a click on a column's head, a line over what scrolls, and all folds open on paper.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.parentNode));
}

function sortBy(head) {
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = head.closest("table").tBodies[0];
  const numeric = head.classList.contains("number");
  const keys = new Map(Array.from(body.rows, (row) => [row, keyOf(row.cells[head.cellIndex], numeric)]));
  const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
  const rows = Array.from(body.rows).sort((first, second) => {
    const a = keys.get(first), b = keys.get(second);
    // Cells without a value stay last in both directions.
    if (a === null || b === null) return (a === null) - (b === null);
    return ascending ? compare(a, b) : compare(b, a);
  });
  body.append(...rows);
}

function keyOf(cell, numeric) {
  if (!numeric) return cell.textContent.trim();
  return cell.hasAttribute("data-value") ? Number(cell.getAttribute("data-value")) : null;
}

const observer = new ResizeObserver((entries) => {
  for (const { target: box } of entries) {
    box.querySelector(".more").hidden = box.scrollWidth <= box.clientWidth;
  }
});
for (const box of document.querySelectorAll(".box")) observer.observe(box);

let folded = [];
window.addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll("details.fold:not([open])"));
  for (const fold of folded) fold.open = true;
});
window.addEventListener("afterprint", () => {
  for (const fold of folded) fold.open = false;
});
