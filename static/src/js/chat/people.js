// Whom one means: @ and the beginning of a name.
import { all, words } from "./page.js";

const people = document.getElementById("people");
const selected = () => people.querySelector('[aria-selected="true"]');
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function meant() {
  const before = words.value.slice(0, words.selectionStart);
  const found = /(?:^|[\s(])@([^@\n]{0,40})$/.exec(before);
  return found && { start: before.length - found[1].length, typed: fold(found[1]) };
}

export function propose() {
  const wanted = meant();
  if (!wanted) return closePeople();
  const fitting = all("#here > li").filter(({ dataset }) => {
    const name = fold(dataset.name);
    return name.startsWith(wanted.typed) || name.split(/\s+/).some((part) => part.startsWith(wanted.typed));
  });
  people.replaceChildren(...fitting.map(optionOf));
  const first = people.firstElementChild;
  people.hidden = !first;
  if (first) mark(first);
  else words.removeAttribute("aria-activedescendant");
}

function optionOf(person) {
  const option = person.cloneNode(true);
  option.id = `person-${person.dataset.user}`;
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  return option;
}

function mark(option) {
  selected()?.setAttribute("aria-selected", "false");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  words.setAttribute("aria-activedescendant", option.id);
}

export function closePeople() {
  people.hidden = true;
  words.removeAttribute("aria-activedescendant");
}

function pick(option) {
  const { start } = meant();
  const end = words.selectionStart;
  words.setRangeText(`${option.dataset.name} `, start, end, "end");
  closePeople();
  words.dispatchEvent(new Event("input", { bubbles: true }));
}

// Whether the key was for the list.
export function choose(event) {
  if (people.hidden) return false;
  const options = [...people.children];
  const index = options.indexOf(selected());
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) mark(options[(index + step + options.length) % options.length]);
  else if (event.key === "Enter" || event.key === "Tab") pick(options[index]);
  else if (event.key === "Escape") closePeople();
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}

people?.addEventListener("mousedown", (event) => {
  const option = event.target.closest('[role="option"]');
  event.preventDefault();
  event.stopPropagation();
  if (option) pick(option);
});
