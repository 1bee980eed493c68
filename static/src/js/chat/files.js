// Files: each goes on its own as soon as it is chosen.
import { Upload } from "../upload.js";
import { composer, filesUrl, talk, toast, words } from "./page.js";
import { send } from "./sending.js";

const MAX_FILES = 10;

export const tray = document.getElementById("tray");
const going = new WeakMap();
export const attached = () => [...tray.children].map((item) => going.get(item));

export function attach(chosen) {
  const room = MAX_FILES - tray.childElementCount;
  if (chosen.length > room) toast(talk.dataset.tooMany);
  for (const file of chosen.slice(0, Math.max(0, room))) attachOne(file);
}

function attachOne(file) {
  const item = document.getElementById("attached").content.cloneNode(true).firstElementChild;
  const file_ = { name: file.name };
  item.querySelector(".name").textContent = file.name;
  if (file.type.startsWith("image/")) {
    const picture = item.querySelector("img");
    file_.preview = URL.createObjectURL(file);
    picture.addEventListener("error", () => (picture.hidden = true));
    picture.src = file_.preview;
    picture.hidden = false;
  }
  going.set(item, file_);
  tray.append(item);
  item.querySelector("[data-retry]").addEventListener("click", () => {
    start(item, file);
    item.querySelector("[data-cancel]").focus();
  });
  item.querySelector("[data-cancel]").addEventListener("click", () => {
    if (file_.id) fetch(`${filesUrl}/${file_.id}`, { method: "DELETE" }).catch(() => {});
    dismiss(item);
    settle();
    words.focus();
  });
  start(item, file);
}

function start(item, file) {
  const file_ = going.get(item);
  const bar = item.querySelector("progress");
  const retry = item.querySelector("[data-retry]");
  file_.state = "going";
  item.classList.remove("has-failed");
  item.querySelector(".error").textContent = "";
  retry.hidden = true;
  bar.value = 0;
  bar.hidden = false;
  file_.upload = new Upload(file, { url: filesUrl, onprogress: (share) => (bar.value = share) });
  file_.upload.done.then(
    (answer) => {
      file_.state = "there";
      file_.id = answer.body.id;
      bar.hidden = true;
      settle();
    },
    (failed) => {
      file_.state = "failed";
      bar.hidden = true;
      retry.hidden = !failed.mayRetry;
      item.classList.add("has-failed");
      if (!failed.isCancelled) item.querySelector(".error").textContent = failed.message || talk.dataset.unsent;
      composer.classList.remove("is-waiting");
      document.getElementById("typing").textContent = "";
    },
  );
}

export function dismiss(item) {
  const { upload, state, preview } = going.get(item);
  if (state === "going") upload.cancel();
  if (preview) URL.revokeObjectURL(preview);
  item.remove();
}

// Whoever pressed Send while files were on their way has sent.
function settle() {
  if (composer.classList.contains("is-waiting") && !attached().some(({ state }) => state === "going")) send();
}
