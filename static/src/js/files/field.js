// A picture that goes along with the rest of a form: one sees it before.
import { complain, isTooLarge } from "./answers.js";
import { forget, part, preview } from "./seen.js";

const fieldOf = (place) => place.querySelector("input[name=file]");

export function choose(place, file) {
  const transfer = new DataTransfer();
  transfer.items.add(file);
  fieldOf(place).files = transfer.files;
  look(place);
}

export function look(place) {
  const field = fieldOf(place);
  const isTooMuch = field.files.length > 0 && isTooLarge(place, field.files[0]);
  if (isTooMuch) field.value = "";
  complain(place, isTooMuch ? place.dataset.tooLarge : "");
  const [file] = field.files;
  part(place, "work").hidden = !file;
  part(place, "name").textContent = file?.name ?? "";
  if (file) preview(part(place, "preview"), file);
  else forget(part(place, "preview"));
}

export function leaveOut(place) {
  fieldOf(place).value = "";
  look(place);
  fieldOf(place).focus({ preventScroll: true });
}

// Chosen before this script was here, or before one came back to the page.
for (const place of document.querySelectorAll("[data-choose]")) {
  if (fieldOf(place).files.length) look(place);
}
