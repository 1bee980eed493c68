// Who has read what, and who is typing.
import { isAtEnd, listed, showDay } from "./log.js";
import { SETTLE, all, ask, at, isNewest, log, me, state, talk, tell, toNewest } from "./page.js";

// A little longer than somebody who types keeps quiet about it.
const STOPS = 5000;

let marked = 0;
let marking = null;

export function markRead() {
  marking ??= setTimeout(async () => {
    marking = null;
    if (document.visibilityState !== "visible" || !isNewest || state.isGone) return;
    const bottom = log.getBoundingClientRect().bottom + 4;
    const last = all("#messages > [data-seq]")
      .reverse()
      .find((each) => each.getBoundingClientRect().top < bottom - 20);
    if (!last || Number(last.dataset.seq) <= marked) return;
    const before = marked;
    marked = Number(last.dataset.seq);
    try {
      const body = new URLSearchParams({ message_id: last.dataset.id });
      const answer = await ask(`${at}/read`, { method: "POST", body, keepalive: true });
      if (answer.ok) tell("chats:changed");
    } catch {
      marked = before;
    }
  }, SETTLE);
}

log.addEventListener("scroll", () => {
  if (isAtEnd() && isNewest) toNewest.hidden = true;
  showDay();
  markRead();
}, { passive: true });
document.addEventListener("visibilitychange", markRead);
window.addEventListener("focus", markRead);

// Who is typing

const typing = new Map();

export function hearTyping({ user }) {
  if (user.id === me) return;
  clearTimeout(typing.get(user.id)?.timer);
  typing.set(user.id, { name: user.name, timer: setTimeout(() => stopTyping(user.id), STOPS) });
  showTyping();
}

export function stopTyping(id) {
  clearTimeout(typing.get(id)?.timer);
  if (typing.delete(id)) showTyping();
}

function showTyping() {
  if (state.isGone) return;
  const names = [...typing.values()].map(({ name }) => name);
  const text = names.length > 1 ? talk.dataset.typingMany : talk.dataset.typing;
  document.getElementById("typing").textContent = names.length ? text.replace("{names}", listed(names)) : "";
}
