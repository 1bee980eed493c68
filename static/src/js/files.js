// Forms that send a picture. They work without this file; with it one sees the picture and how far it is, can call it
// off, and can drop or paste it.
import { take, tell } from "./files/answers.js";
import { choose, leaveOut, look } from "./files/field.js";
import { cancel, isBusy as isSending, send } from "./files/one.js";
import { isBusy as isQueuing, queue } from "./files/several.js";
import "./viewer.js";

// What is taken away is answered in the same way.
async function remove(form) {
  const [place, button] = [form.closest("[data-pictures]"), form.querySelector("button")];
  button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", headers: { "HX-Request": "true" } }).catch(() => null);
  button.disabled = false;
  if (answer === null) tell("toast", { message: document.getElementById("toasts").dataset.offline, level: "error" });
  else take(form, { body: await answer.text(), isGood: answer.ok, header: (name) => answer.headers.get(name) });
  // The button that had the focus went with its photo.
  const isLost = place.isConnected && document.activeElement === document.body;
  if (isLost) (button.isConnected ? button : formIn(place)?.querySelector("input[name=file]"))?.focus({ preventScroll: true });
}

// The ways a file comes in.

const FORM = "[data-upload], [data-choose]";

const isField = (form) => form.matches("[data-choose]");

function give(form, files) {
  if (!files.length) return;
  if (isField(form)) choose(form, files[0]);
  else if (form.dataset.room) queue(form, [...files]);
  else send(form, files[0]);
}

document.addEventListener("change", ({ target }) => {
  const form = target.closest(FORM);
  if (!form || target.type !== "file") return;
  if (isField(form) && target.name) {
    look(form);
    return;
  }
  const files = [...target.files];
  // The same file may be chosen once more after it failed.
  target.value = "";
  give(form, files);
});

// At the window, which hears it last: whoever is asked first may say no.
window.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.closest("[data-pictures]")) return;
  event.preventDefault();
  if (!form.matches("[data-upload]")) remove(form);
});

document.addEventListener("click", ({ target }) => {
  const form = target.closest("[data-cancel]")?.form;
  if (form) cancel(form);
  const place = target.closest("[data-leave-out]")?.closest("[data-choose]");
  if (place) leaveOut(place);
});

const carriesFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");
const placeAt = (event) => event.target.closest?.("[data-pictures]");
const formIn = (place) => place?.querySelector(FORM);

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!carriesFiles(event.dataTransfer) || event.defaultPrevented) return;
    // A file that falls beside it would take the page's place.
    event.preventDefault();
    const place = placeAt(event);
    event.dataTransfer.dropEffect = formIn(place) ? "copy" : "none";
    if (formIn(place)) place.classList.add("is-over");
  });
}

document.addEventListener("dragleave", (event) => {
  const place = placeAt(event);
  if (place && !place.contains(event.relatedTarget)) place.classList.remove("is-over");
});

document.addEventListener("drop", (event) => {
  if (!carriesFiles(event.dataTransfer) || event.defaultPrevented) return;
  event.preventDefault();
  const place = placeAt(event);
  place?.classList.remove("is-over");
  if (formIn(place)) give(formIn(place), event.dataTransfer.files);
});

document.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (!files.length || event.defaultPrevented || event.target.closest?.("input:not([type=file]), textarea, [contenteditable]")) return;
  const form = formIn(placeAt(event)) ?? [...document.querySelectorAll("[data-pictures]")].map(formIn).find(Boolean);
  if (!form) return;
  event.preventDefault();
  give(form, files);
});

// What others change draws the page anew, but not from under a file.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const busy = event.detail.target.querySelector(
    '[data-upload] [data-work]:not([hidden]), [data-state]:not([data-state="refused"])',
  );
  if (busy) event.detail.shouldSwap = false;
});

// One's way out of the page is asked about while something is on its way.
window.addEventListener("beforeunload", (event) => {
  if (isSending() || isQueuing()) event.preventDefault();
});
