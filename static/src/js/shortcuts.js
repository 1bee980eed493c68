// Keys for those at a desk: / search, a add, u undo, arrows through a list.
import { lastAction } from "./toasts.js";

const isTyping = (target) => target.matches?.("input, select, textarea, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
  // While a sheet is on its way, what is typed is meant for it.
  if (document.querySelector("dialog[open], a.htmx-request")) return;

  if (event.key === "/") {
    const search = document.querySelector('input[type="search"]');
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else {
      window.location.assign("/stock");
    }
  } else if (event.key === "a") {
    const add = document.querySelector('a[href="/stock/add"]');
    if (add) {
      event.preventDefault();
      add.click();
    }
  } else if (event.key === "u") {
    lastAction()?.click();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const row = event.target.closest(".lot");
    const links = [...document.querySelectorAll(".lot .what")];
    if (!row || !links.length) return;
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    const index = links.indexOf(row.querySelector(".what")) + step;
    links[Math.max(0, Math.min(index, links.length - 1))].focus();
  }
});
