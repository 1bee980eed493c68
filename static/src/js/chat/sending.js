// Sending: one after the other, each under one key however often it is tried.
import { attached, dismiss, tray } from "./files.js";
import { put, steadily } from "./log.js";
import { learn } from "./news.js";
import {
  DRAFT,
  UNSENT,
  ask,
  at,
  composer,
  isNewest,
  keep,
  log,
  messages,
  parsed,
  read,
  said,
  state,
  talk,
  tell,
  words,
} from "./page.js";
import { markRead } from "./reading.js";
import { grow } from "./writing.js";

let line = Promise.resolve();

export function pend(entry) {
  const item = document.getElementById("pending").content.cloneNode(true).firstElementChild;
  item.querySelector(".words").textContent = entry.text;
  steadily(() => messages.append(item));
  item.addEventListener("click", ({ target }) => {
    if (target.closest("[data-again]")) attempt(entry, item);
    if (target.closest("[data-drop]")) {
      forget(entry);
      steadily(() => item.remove());
      words?.focus();
    }
  });
  return item;
}

const forget = (entry) => keep(UNSENT, read(UNSENT, []).filter(({ key }) => key !== entry.key));

export function attempt(entry, item) {
  item.classList.remove("has-failed");
  item.setAttribute("aria-busy", "true");
  item.querySelector(".has-failed").textContent = "";
  state.sending += 1;
  line = line.then(async () => {
    try {
      const body = new FormData();
      for (const [name, value] of entry.fields) body.append(name, value);
      const answer = await ask(`${at}/messages`, { method: "POST", body });
      const sent = answer.ok ? parsed(await answer.text()).querySelector("li") : null;
      if (!sent) return fail(item, said(answer));
      forget(entry);
      state.held.delete(sent.dataset.id);
      steadily(() => {
        item.remove();
        put(sent);
      });
      tell("chats:changed");
    } catch {
      fail(item, "");
    } finally {
      state.sending -= 1;
      if (!state.sending) {
        state.held.forEach(learn);
        state.held.clear();
      }
      markRead();
    }
  });
}

export function fail(item, reason) {
  item.classList.add("has-failed");
  item.removeAttribute("aria-busy");
  item.querySelector(".has-failed").textContent = `${talk.dataset.unsent} ${reason}`;
}

export function send() {
  const uploads = attached();
  if (uploads.some(({ state }) => state === "going")) {
    composer.classList.add("is-waiting");
    document.getElementById("typing").textContent = talk.dataset.waiting;
    return;
  }
  composer.classList.remove("is-waiting");
  const text = words.value.trim();
  const there = uploads.filter(({ state }) => state === "there");
  if (!text && !there.length) {
    words.focus();
    return;
  }
  const key = composer.elements.idempotency_key.value;
  const fields = [...new FormData(composer)].filter(([, value]) => typeof value === "string");
  fields.push(["attachment_ids", there.map(({ id }) => id).join(",")]);
  composer.elements.idempotency_key.value = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const entry = { key, fields, text: text || there.map(({ name }) => name).join(", ") };
  // Its place is at the end: where that is another page, it is sent from there.
  entry.isAway = !isNewest;
  keep(UNSENT, [...read(UNSENT, []), entry]);
  clearComposer();
  if (entry.isAway) {
    location.assign(at);
    return;
  }
  log.scrollTop = 0;
  attempt(entry, pend(entry));
}

function clearComposer() {
  for (const one of [...tray.children]) dismiss(one);
  words.value = "";
  document.getElementById("about").replaceChildren();
  if (location.search) history.replaceState(null, "", at);
  grow();
  keep(DRAFT, null);
  document.getElementById("typing").textContent = "";
  words.focus();
}
