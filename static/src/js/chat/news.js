// What others say and change: heard of by the socket of the page, fetched as the server draws it.
import { here, hearRead, isAtEnd, newest, put, steadily } from "./log.js";
import { watcher, watchOlder } from "./older.js";
import {
  DRAFT,
  SETTLE,
  UNSENT,
  all,
  ask,
  at,
  chat,
  isNewest,
  keep,
  log,
  me,
  messages,
  parsed,
  state,
  talk,
  tell,
  toNewest,
} from "./page.js";
import { hearTyping, markRead, stopTyping } from "./reading.js";

const MANY = 8;
const AGAIN = 3000;
const MINUTE = 60_000;

// Messages that came or changed, by their ids

const waiting = new Set();
let fetching = null;

export function learn(id) {
  if (state.isGone) return;
  waiting.add(id);
  fetching ??= setTimeout(fetchWaiting, 0);
}

async function fetchWaiting() {
  const ids = [...waiting];
  let pause = 0;
  waiting.clear();
  try {
    if (ids.length > MANY) await refresh();
    else while (ids.length) await fetchOne(ids[0]).then(() => ids.shift());
  } catch {
    // It will not be told again, so it is asked for again.
    ids.forEach((id) => waiting.add(id));
    pause = AGAIN;
  }
  fetching = waiting.size ? setTimeout(fetchWaiting, pause) : null;
}

async function fetchOne(id) {
  const known = document.getElementById(`message-${id}`);
  if (!isNewest && !known) {
    announce();
    return;
  }
  const answer = await ask(`${at}/messages/${id}`);
  if (answer.ok) show(parsed(await answer.text()).querySelector("li"));
  else if (answer.status === 404) await lookAgain();
  else throw new Error(answer.statusText);
}

function show(item) {
  const isKnown = document.getElementById(item.id) !== null;
  const wasAtEnd = isAtEnd();
  steadily(() => put(item));
  if (!isKnown && !wasAtEnd && item.dataset.author !== me) announce();
  markRead();
}

// The newest page anew, when nobody can say what was missed.
export async function refresh() {
  if (state.isGone) return;
  if (!isNewest) {
    announce();
    return;
  }
  const answer = await ask(at);
  if (!answer.ok) {
    if (answer.status !== 404 && answer.status !== 403) throw new Error(answer.statusText);
    leave();
    return;
  }
  const page = parsed(await answer.text());
  const items = all("#messages > li", page);
  const joins = !items.length || items.some((item) => document.getElementById(item.id)) || !newest();
  steadily(() => {
    if (!joins) {
      for (const old of all("#messages > [data-seq]")) old.remove();
      const older = page.querySelector("#older");
      document.getElementById("older")?.remove();
      if (older) messages.before(older);
      watchOlder();
    }
    for (const item of items) put(item);
  });
  markRead();
}

export async function lookAgain() {
  if (state.isGone) return;
  const answer = await ask(`${at}?part=head`);
  if (answer.status === 404 || answer.status === 403) leave();
  else if (answer.ok) {
    talk.querySelector(".chat-head").replaceChildren(parsed(await answer.text()));
    steadily(() => {});
  }
}

// It is gone, or not for us any more: nothing of it stays on the screen.
export function leave() {
  state.isGone = true;
  watcher.disconnect();
  const notice = document.createElement("p");
  notice.className = "gone";
  notice.setAttribute("role", "alert");
  notice.textContent = talk.dataset.gone;
  const back = talk.querySelector(".back");
  talk.replaceChildren(notice);
  if (back) talk.prepend(back);
  keep(DRAFT, null);
  keep(UNSENT, null);
  tell("chats:changed");
}

function announce() {
  toNewest.hidden = false;
}

toNewest.addEventListener("click", (event) => {
  if (!isNewest) return;
  event.preventDefault();
  log.scrollTop = 0;
  toNewest.hidden = true;
});

// The socket of every page tells us what it hears

document.body.addEventListener("chat:frame", ({ detail: frame }) => {
  const { type, data = {} } = frame;
  if (state.isGone || (data.chat_id ?? frame.chat_id ?? data.id) !== chat) return;
  const by = data.user_id ?? data.author?.id;
  // Somebody who came later.
  if (by && !here(by)) lookAgain().catch(() => {});
  if (type === "chat.message") {
    if (data.author) stopTyping(data.author.id);
    // One's own comes with the answer to sending it.
    if (data.author?.id === me && state.sending) state.held.add(data.id);
    else learn(data.id);
  } else if (type === "chat.read") hearRead(data);
  else if (type === "chat.typing") hearTyping(frame);
  else if (type === "chat.deleted") leave();
  else if (type === "chat.changed") {
    // Put away, or taken out again: one writes in it no more, or can.
    if (Boolean(data.archived_at) !== (talk.dataset.archived === "true")) location.reload();
    else lookAgain().catch(() => {});
  }
});

export const subscribe = () => tell("live:say", { action: "subscribe", chat_id: chat });
document.body.addEventListener("live:open", subscribe);
document.body.addEventListener("live:missed", () => refresh().catch(() => {}));
document.body.addEventListener("live:cut", () => lookAgain().catch(() => {}));

// At midnight in the household, "Today" is another day.
const today = () => new Date().toLocaleDateString("sv", { timeZone: talk.dataset.zone });
let drawnOn = today();

setInterval(() => {
  if (!isNewest || today() === drawnOn) return;
  drawnOn = today();
  refresh().catch(() => {});
}, MINUTE);

// What became of stock changes the cards that show it.
let cards = null;
document.body.addEventListener("stock:changed", () => {
  cards ??= setTimeout(() => {
    cards = null;
    for (const card of all("#messages .about").slice(-MANY)) learn(card.closest("li").dataset.id);
  }, SETTLE);
});
