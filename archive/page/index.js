"use strict";
(() => {
  const body = document.querySelector("tbody"), rows = [...body.rows];
  const search = document.getElementById("search"), state = document.getElementById("state");
  const count = document.getElementById("count");
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, n) => {
      const fits = (!state.value || row.dataset.state === state.value) && words.every((word) => texts[n].includes(word));
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} on this page`;
  };
  search.addEventListener("input", filter);
  state.addEventListener("input", filter);
  const heads = [...document.querySelectorAll("thead th")];
  heads.forEach((head, column) => {
    if (!head.dataset.kind) return;
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].textContent.trim();
      const order = head.dataset.kind === "number"
        ? (a, b) => Number(value(a)) - Number(value(b))
        : (a, b) => value(a).localeCompare(value(b), undefined, { numeric: true });
      body.append(...[...rows].sort((a, b) => (down ? -order(a, b) : order(a, b))));
    });
  });
})();
