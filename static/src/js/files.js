// Forms that send a picture. They work without this file; with it one sees the picture and how far it is, can call it
// off, and can drop or paste it.
import { Upload } from "./upload.js";

// On its way now, by the form it goes from.
const underWay = new Map();

// Sends the file, and puts what is answered in the place of the part of the page that the form belongs to.
async function send(form, file) {
  underWay.get(form)?.cancel();
  complain(form, "");
  const { max, tooLarge } = form.dataset;
  if (file.size > Number(max)) {
    complain(form, tooLarge);
    return;
  }
  show(form, file);
  const upload = new Upload(file, {
    url: form.action,
    headers: { "HX-Request": "true" },
    onprogress: (share) => progress(form, share),
  });
  underWay.set(form, upload);
  const [answer, failure] = await upload.done.then((good) => [good], (bad) => [null, bad]);
  // Another file may have taken its place.
  if (underWay.get(form) !== upload) return;
  underWay.delete(form);
  if (failure) fail(form, file, failure);
  else take(form, answer);
}

// What is taken away is answered in the same way.
async function remove(form) {
  const button = form.querySelector("button");
  button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", headers: { "HX-Request": "true" } }).catch(() => null);
  button.disabled = false;
  if (answer === null) tell("toast", { message: document.getElementById("toasts").dataset.offline, level: "error" });
  else take(form, { body: await answer.text(), isGood: answer.ok, header: (name) => answer.headers.get(name) });
}

function take(form, answer) {
  const to = answer.header("HX-Redirect");
  if (to) {
    window.location.assign(to);
    return;
  }
  if (answer.isGood && answer.body) replace(form, answer.body);
  for (const [name, detail] of Object.entries(said(answer))) tell(name, detail);
}

function replace(form, html) {
  const old = form.closest("[data-pictures]");
  const page = new DOMParser().parseFromString(html, "text/html");
  // People are drawn in more places than one.
  for (const other of page.querySelectorAll("[data-elsewhere] > *")) {
    for (const place of document.querySelectorAll(`#${other.id}`)) place.replaceWith(other);
  }
  const made = page.querySelector("[data-pictures]");
  if (formIn(old)) forget(formIn(old));
  old.replaceWith(made);
  made.querySelector("[data-upload] input[name], button, a")?.focus({ preventScroll: true });
}

const said = (answer) => JSON.parse(answer.header("HX-Trigger") ?? "{}");

function tell(name, detail) {
  document.body.dispatchEvent(new CustomEvent(name, { detail }));
}

// What one sees meanwhile.

const part = (form, name) => form.querySelector(`[data-${name}]`);

function show(form, file) {
  const preview = part(form, "preview");
  forget(form);
  preview.hidden = false;
  preview.src = URL.createObjectURL(file);
  part(form, "ways").hidden = true;
  part(form, "work").hidden = false;
  part(form, "retry").hidden = true;
  part(form, "progress").hidden = false;
  part(form, "progress").value = 0;
  part(form, "cancel").focus({ preventScroll: true });
  say(form, form.dataset.sending);
}

// Not every browser draws what every camera makes.
document.addEventListener(
  "error",
  ({ target }) => {
    if (target.matches?.("[data-preview]")) target.hidden = true;
  },
  true,
);

function forget(form) {
  const preview = part(form, "preview");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.removeAttribute("src");
}

function progress(form, share) {
  const bar = part(form, "progress");
  bar.value = share * 100;
  bar.nextElementSibling.textContent = `${Math.floor(share * 100)} %`;
  if (share === 1) {
    // All of it is there, and is looked at: for how long, nobody knows.
    bar.removeAttribute("value");
    say(form, form.dataset.nearly);
  }
}

// For those who listen, a few words now and then; the bar says the rest.
function say(form, text) {
  part(form, "status").textContent = text;
}

function fail(form, file, failure) {
  if (failure.isCancelled) {
    rest(form);
    say(form, form.dataset.cancelled);
    return;
  }
  const { answer } = failure;
  if (answer?.header("HX-Redirect")) {
    take(form, answer);
    return;
  }
  if (failure.mayRetry) {
    part(form, "progress").hidden = true;
    part(form, "progress").nextElementSibling.textContent = "";
    part(form, "retry").hidden = false;
    part(form, "retry").onclick = () => send(form, file);
    part(form, "retry").focus({ preventScroll: true });
  } else {
    rest(form);
  }
  say(form, "");
  complain(form, why(form, answer));
}

function why(form, answer) {
  if (!answer) return form.dataset.offline;
  const page = new DOMParser().parseFromString(answer.body, "text/html");
  return page.querySelector("[data-upload] .error")?.textContent || said(answer).toast?.message || form.dataset.failed;
}

function rest(form) {
  forget(form);
  part(form, "work").hidden = true;
  part(form, "ways").hidden = false;
  form.elements.file.focus({ preventScroll: true });
}

function complain(form, text) {
  form.querySelector(".error").textContent = text;
  if (text) form.elements.file.setAttribute("aria-invalid", "true");
  else form.elements.file.removeAttribute("aria-invalid");
}

// The ways a file comes in.

document.addEventListener("change", ({ target }) => {
  const form = target.closest("[data-upload]");
  if (!form || target.type !== "file" || !target.files.length) return;
  const [file] = target.files;
  // The same file may be chosen once more after it failed.
  target.value = "";
  send(form, file);
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
  if (!form) return;
  const upload = underWay.get(form);
  if (upload) upload.cancel();
  else {
    complain(form, "");
    rest(form);
  }
});

const carriesFiles = (transfer) => [...(transfer?.types ?? [])].includes("Files");
const placeAt = (event) => event.target.closest?.("[data-pictures]");
const formIn = (place) => place?.querySelector("[data-upload]");

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
  const [file] = event.dataTransfer.files;
  if (file && formIn(place)) send(formIn(place), file);
});

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (!file || event.defaultPrevented || event.target.closest?.("input:not([type=file]), textarea, [contenteditable]")) return;
  const form = formIn(placeAt(event)) ?? document.querySelector("[data-pictures] [data-upload]");
  if (!form) return;
  event.preventDefault();
  send(form, file);
});

// What others change draws the page anew, but not from under a file.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const busy = event.detail.target.querySelector("[data-upload] [data-work]:not([hidden])");
  if (busy) event.detail.shouldSwap = false;
});

// One's way out of the page is asked about while something is on its way.
window.addEventListener("beforeunload", (event) => {
  if (underWay.size) event.preventDefault();
});
