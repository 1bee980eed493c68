// Files: each goes on its own as soon as it is chosen.
import { begin, fill, forget, part, preview, refuse, showBar } from "../files/seen.js";
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
  part(item, "name").textContent = file.name;
  if (file.type.startsWith("image/")) preview(part(item, "preview"), file);
  going.set(item, file_);
  tray.append(item);
  part(item, "again").addEventListener("click", () => {
    start(item, file);
    part(item, "leave").focus();
  });
  part(item, "leave").addEventListener("click", () => {
    if (file_.id) fetch(`${filesUrl}/${file_.id}`, { method: "DELETE" }).catch(() => {});
    dismiss(item);
    settle();
    words.focus();
  });
  start(item, file);
}

function start(item, file) {
  const file_ = going.get(item);
  file_.state = "going";
  begin(item);
  file_.upload = new Upload(file, { url: filesUrl, onprogress: (share) => fill(item, share) });
  file_.upload.done.then(
    (answer) => {
      file_.state = "there";
      file_.id = answer.body.id;
      showBar(item, false);
      settle();
    },
    (failed) => {
      file_.state = "failed";
      refuse(item, failed.message || talk.dataset.unsent, failed.mayRetry);
      composer.classList.remove("is-waiting");
      document.getElementById("typing").textContent = "";
    },
  );
}

export function dismiss(item) {
  const { upload, state } = going.get(item);
  if (state === "going") upload.cancel();
  forget(part(item, "preview"));
  item.remove();
}

// Whoever pressed Send while files were on their way has sent.
function settle() {
  if (composer.classList.contains("is-waiting") && !attached().some(({ state }) => state === "going")) send();
}
