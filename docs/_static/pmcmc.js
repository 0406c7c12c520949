// what scrolls by itself is reached by the keyboard too
addEventListener("load", () => {
  for (const table of document.querySelectorAll("table")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  }
});
