// What the server says to a picture, and where it goes in the page.
import { fill, forget, part } from "./seen.js";

// `isLast`: of several, only the last is told.
export function take(form, answer, isLast = true) {
  const to = answer.header("HX-Redirect");
  if (to) {
    window.location.assign(to);
    return;
  }
  if (answer.isGood && answer.body) replace(form.closest("[data-pictures]"), answer.body);
  for (const [name, detail] of Object.entries(said(answer))) {
    if (isLast || name !== "toast") tell(name, detail);
  }
}

// The part of the page that the form belongs to, as it is now; not from under what else is to be sent from there.
function replace(old, html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  // People are drawn in more places than one.
  for (const other of page.querySelectorAll("[data-elsewhere] > *")) {
    for (const place of document.querySelectorAll(`#${other.id}`)) place.replaceWith(other);
  }
  const made = page.querySelector("[data-pictures]");
  if (old.querySelector("[data-state]")) {
    replacePhotos(old, made);
    return;
  }
  for (const preview of old.querySelectorAll("[data-preview][src]")) forget(preview);
  old.replaceWith(made);
  made.querySelector("[data-upload] input[name], button, a")?.focus({ preventScroll: true });
}

function replacePhotos(old, made) {
  const [form, photos] = [old.querySelector("[data-upload]"), made.querySelector(".photos")];
  old.querySelector(".photos")?.remove();
  if (photos) form.before(photos);
  const { room, tooMany } = made.querySelector("[data-upload]").dataset;
  Object.assign(form.dataset, { room, tooMany });
}

export const said = (answer) => JSON.parse(answer.header("HX-Trigger") ?? "{}");

export function tell(name, detail) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

export function why(form, answer) {
  if (!answer) return form.dataset.offline;
  const page = new DOMParser().parseFromString(answer.body, "text/html");
  return page.querySelector("[data-upload] .error")?.textContent || said(answer).toast?.message || form.dataset.failed;
}

// When all of it is there it is looked at: for how long, nobody knows.
export function progress(form, within, share) {
  fill(within, share);
  if (share === 1) say(form, form.dataset.nearly);
}

// For those who listen, a few words now and then; the bar says the rest.
export function say(form, text) {
  part(form, "status").textContent = text;
}

export function complain(form, text) {
  part(form, "error").textContent = text;
  const field = form.querySelector("input[name=file]");
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

export const isTooLarge = (form, file) => file.size > Number(form.dataset.max);
