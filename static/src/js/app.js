// Everything works without this file; it makes things quicker. htmx is configured by a meta element in base.html.
import { Idiomorph } from "idiomorph/htmx";
import "./combobox.js";
import "./add.js";
import "./lists.js";
import "./sheet.js";
import "./shortcuts.js";
import "./toasts.js";

// What somebody is typing is theirs: a refresh does not overwrite it.
Idiomorph.defaults.ignoreActiveValue = true;

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

// A menu closes when one looks elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.switcher[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.switcher[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
