
// Without this the page is whole: tables stay as they are, and paper opens the folds through the style sheet.
const number = (text) => {
  const found = text.replaceAll(",", "").replace("−", "-").match(/-?\d+(\.\d+)?(e[+-]?\d+)?/);
  return found ? Number(found[0]) * (/\d MB/.test(text) ? 1000 : 1) : NaN;
};
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return x - y || a.localeCompare(b);
};
const text = (row, place) => row.cells[place]?.textContent ?? "";
for (const table of document.querySelectorAll("table:not(.matrix)")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 3) continue;
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending", words = !head.classList.contains("r");
      const order = words ? (a, b) => a.localeCompare(b) : compare;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => (falling ? -1 : 1) * order(text(a, place), text(b, place)));
      body.append(...rows);
    });
  });
}
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const fold of closed) fold.open = true;
});
addEventListener("afterprint", () => { for (const fold of closed) fold.open = false; });
