// Adding: chips for dates, Enter that leads on, and a form that stays open between items.
import htmx from "htmx.org";

document.addEventListener("click", (event) => {
  const chip = event.target.closest?.("[data-entry]");
  if (!chip) return;
  const field = document.getElementById(chip.dataset.for);
  field.value = chip.dataset.entry;
  htmx.trigger(field, "input");
});

document.addEventListener("click", (event) => {
  const picker = event.target.closest?.("input[data-picker]");
  if (picker?.showPicker) picker.showPicker();
});

document.addEventListener("change", (event) => {
  const picker = event.target.closest?.("input[data-picker]");
  if (!picker) return;
  const field = document.getElementById(picker.dataset.picker);
  field.value = picker.value;
  htmx.trigger(field, "input");
});

// Enter leads from the name to the amount, from there to the date, and from there submits.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.defaultPrevented) return;
  const next = event.target.dataset?.enter;
  if (!next || event.target.value.trim() === "") return;
  event.preventDefault();
  if (event.target.matches('[role="combobox"]')) htmx.trigger(event.target, "picked");
  const field = document.getElementById(next);
  field?.focus();
  field?.select?.();
});

// A proposal is for the name that was typed; what was typed since into its fields stays.
const typed = new Map();

for (const kind of ["input", "change"]) {
  document.addEventListener(kind, ({ target }) => {
    if (target.closest?.("#add-fields")) typed.set(target, target.value);
  });
}

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "add-fields") return;
  for (const [field, value] of typed) {
    if (field.isConnected) field.value = value;
    else typed.delete(field);
  }
});

// After an item went in, the form is new and the next name can be typed at once.
document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target.id !== "add" || event.detail.xhr.status !== 200) return;
  document.getElementById("name")?.focus();
});
