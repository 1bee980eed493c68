// Everything works without this file; it makes things quicker. htmx is configured by a meta element in base.html.
import htmx from "htmx.org";
import { Idiomorph } from "idiomorph/htmx";
import "./combobox.js";
import "./add.js";
import "./lists.js";
import "./live.js";
import "./push.js";
import "./sheet.js";
import "./shortcuts.js";
import "./toasts.js";

// For scripts of single pages, which bring no second one.
window.htmx = htmx;

// What somebody is typing is theirs: a refresh does not overwrite it. A button that has the focus does change.
document.addEventListener("focusin", ({ target }) => {
  Idiomorph.defaults.ignoreActiveValue = target.matches("input, select, textarea");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await navigator.clipboard?.writeText(field.value);
  button.textContent = button.dataset.copied;
});

for (const field of document.querySelectorAll("input[data-time-zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

// What is wrong is where one goes on.
document.querySelector('main [aria-invalid="true"]')?.focus();

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.xhr.status === 422) event.detail.elt.querySelector('[aria-invalid="true"]')?.focus();
});

// What cannot be taken back asks first.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// The filter that is on may lie beyond the edge.
for (const chosen of document.querySelectorAll('.scroller :is(:checked, [aria-current="true"])')) {
  const scroller = chosen.closest(".scroller");
  const [chip, edge] = [chosen.getBoundingClientRect(), scroller.getBoundingClientRect()];
  if (chip.right > edge.right || chip.left < edge.left) scroller.scrollBy(chip.left - edge.left - chip.width, 0);
}

// A menu closes when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.switcher[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches("details.switcher[open]")) event.target.lastElementChild.scrollIntoView({ block: "nearest" });
  },
  true,
);

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.switcher[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
