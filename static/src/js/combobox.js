// Text fields that propose (WAI-ARIA combobox with a listbox). The options come from the server.
import htmx from "htmx.org";

const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
const optionsOf = (input) => [...listOf(input).querySelectorAll('[role="option"]')];
const selected = (input) => listOf(input).querySelector('[aria-selected="true"]');

function close(input) {
  listOf(input).replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function select(input, option) {
  selected(input)?.setAttribute("aria-selected", "false");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", option.id);
}

function pick(input, option) {
  input.value = option.dataset.name;
  const form = input.form;
  form.elements.pick.value = option.dataset.pick;
  close(input);
  htmx.trigger(input, "picked");
}

document.addEventListener("keydown", (event) => {
  const input = event.target.closest?.('input[role="combobox"]');
  if (!input) return;
  const options = optionsOf(input);
  const index = options.indexOf(selected(input));
  if (event.key === "ArrowDown" && options.length) {
    event.preventDefault();
    select(input, options[(index + 1) % options.length]);
  } else if (event.key === "ArrowUp" && options.length) {
    event.preventDefault();
    select(input, options[(index - 1 + options.length) % options.length]);
  } else if (event.key === "Escape" && options.length) {
    event.preventDefault();
    event.stopPropagation();
    close(input);
  } else if (event.key === "Enter" && index >= 0) {
    event.preventDefault();
    pick(input, options[index]);
  } else if (event.key === "Tab") {
    close(input);
  }
});

document.addEventListener("input", (event) => {
  const input = event.target.closest?.('input[role="combobox"]');
  if (input?.form.elements.pick) input.form.elements.pick.value = "";
});

document.addEventListener("mousedown", (event) => {
  const option = event.target.closest?.('[role="option"]');
  if (!option) return;
  event.preventDefault();
  const list = option.closest('[role="listbox"]');
  pick(document.querySelector(`[aria-controls="${list.id}"]`), option);
});

document.addEventListener("focusout", (event) => {
  const input = event.target.closest?.('input[role="combobox"]');
  if (input) close(input);
});

document.body.addEventListener("htmx:afterSwap", (event) => {
  const list = event.detail.target;
  if (list.getAttribute("role") !== "listbox") return;
  const input = document.querySelector(`[aria-controls="${list.id}"]`);
  // The answer may come after the field was left.
  if (document.activeElement !== input) list.replaceChildren();
  input.setAttribute("aria-expanded", String(list.childElementCount > 0));
});
