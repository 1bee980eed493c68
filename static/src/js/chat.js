// A conversation that goes on by itself. What is said is drawn by the server; here it is put where it belongs.
import { Upload } from "./upload.js";

const talk = document.getElementById("conversation");
const { chat, at, files: filesUrl } = talk.dataset;
const me = document.body.dataset.user;
const log = document.getElementById("log");
const messages = document.getElementById("messages");
const toNewest = document.getElementById("to-newest");
const composer = document.getElementById("composer");
const words = document.getElementById("content");

const NEAR = 80;
const MANY = 8;
const SETTLE = 300;
const FOLLOWS = 5 * 60;
const TYPING = 4000;
const TYPED = 3000;
const MAX_FILES = 10;
const DRAFT = `larder:draft:${chat}`;
const UNSENT = `larder:unsent:${chat}`;

const isNewest = talk.dataset.newest === "true";
let isGone = false;

const tell = (name, detail = {}) => document.body.dispatchEvent(new CustomEvent(name, { detail }));
const toast = (message) => tell("toast", { message, level: "error" });
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function read(store, fallback) {
  try {
    return JSON.parse(sessionStorage.getItem(store)) ?? fallback;
  } catch {
    return fallback;
  }
}

function keep(store, value) {
  if (value === null) sessionStorage.removeItem(store);
  else sessionStorage.setItem(store, JSON.stringify(value));
}

// Asking the server

async function ask(url, options = {}) {
  const answer = await fetch(url, { ...options, headers: { "HX-Request": "true", ...options.headers } });
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) location.assign(elsewhere);
  return answer;
}

// What the answer says went wrong.
function said(answer) {
  try {
    return JSON.parse(answer.headers.get("HX-Trigger")).toast.message;
  } catch {
    return "";
  }
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

// Where one is

// The log runs from its end: at the newest, it is scrolled by nothing.
const isAtEnd = () => Math.abs(log.scrollTop) < NEAR;

// Change what is in the log, and leave what is being read where it is.
function steadily(change) {
  if (isGone) return;
  const wasAtEnd = isAtEnd();
  const top = log.getBoundingClientRect().top;
  const anchor = wasAtEnd ? null : [...messages.children].find((each) => each.getBoundingClientRect().bottom > top);
  const before = anchor?.getBoundingClientRect().top;
  change();
  arrange();
  if (wasAtEnd) log.scrollTop = 0;
  else if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
}

// Days begin, and one's messages follow each other, wherever they came from.
function arrange() {
  let last = null;
  for (const each of messages.children) {
    if (each.classList.contains("is-pending")) {
      each.classList.toggle("follows", last?.classList.contains("is-own") ?? false);
    } else {
      const isNewDay = each.dataset.day !== last?.dataset.day;
      const follows =
        !isNewDay &&
        each.dataset.author !== "" &&
        each.dataset.author === last?.dataset.author &&
        !each.matches(".is-system, .is-first-new") &&
        !last.matches(".is-system") &&
        Number(each.dataset.at) - Number(last.dataset.at) < FOLLOWS;
      each.classList.toggle("starts-day", isNewDay);
      each.classList.toggle("follows", follows);
    }
    last = each;
  }
  talk.querySelector(".first")?.remove();
  showSeen();
}

const newest = () => all("#messages > [data-seq]").pop();

function put(item) {
  const old = document.getElementById(item.id);
  if (old) {
    // Whoever is about to tap a reaction keeps the focus on it.
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    item.classList.toggle("is-first-new", old.classList.contains("is-first-new"));
    old.replaceWith(item);
    if (focused) item.querySelector(`[value="${CSS.escape(focused.value ?? "")}"], .dots`)?.focus({ preventScroll: true });
  } else {
    const seq = Number(item.dataset.seq);
    const after = [...messages.children].find(
      (each) => each.classList.contains("is-pending") || Number(each.dataset.seq) > seq,
    );
    messages.insertBefore(item, after ?? null);
  }
  window.htmx.process(item);
}

// Messages that came or changed, by their ids

const waiting = new Set();
let fetching = null;
let sending = 0;

function learn(id) {
  if (isGone) return;
  waiting.add(id);
  fetching ??= setTimeout(fetchWaiting, 0);
}

async function fetchWaiting() {
  const ids = [...waiting];
  waiting.clear();
  try {
    if (ids.length > MANY) await refresh();
    else for (const id of ids) await fetchOne(id);
  } catch {
    // No connection: what was missed is said again when it is back.
  }
  fetching = waiting.size ? setTimeout(fetchWaiting, 0) : null;
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
}

function show(item) {
  const isKnown = document.getElementById(item.id) !== null;
  const wasAtEnd = isAtEnd();
  steadily(() => put(item));
  if (!isKnown && !wasAtEnd && item.dataset.author !== me) announce();
  markRead();
}

// The newest page anew, when nobody can say what was missed.
async function refresh() {
  if (isGone) return;
  if (!isNewest) {
    announce();
    return;
  }
  const answer = await ask(at);
  if (!answer.ok) {
    if (answer.status === 404 || answer.status === 403) leave();
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

async function lookAgain() {
  if (isGone) return;
  const answer = await ask(`${at}?part=head`);
  if (answer.status === 404 || answer.status === 403) leave();
  else if (answer.ok) talk.querySelector(".chat-head").replaceChildren(parsed(await answer.text()));
}

// It is gone, or not for us any more: nothing of it stays on the screen.
function leave() {
  isGone = true;
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

// Older ones come when one scrolls up to them

const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && loadOlder(), {
  root: log,
  rootMargin: "600px 0px",
});
let loading = false;

function watchOlder() {
  const older = document.getElementById("older");
  watcher.disconnect();
  if (older) watcher.observe(older);
}

async function loadOlder() {
  const older = document.getElementById("older");
  if (loading || !older) return;
  loading = true;
  log.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(older.querySelector("a").href);
    if (!answer.ok) return;
    const page = parsed(await answer.text());
    steadily(() => {
      for (const item of all("#messages > li", page)) put(item);
      const further = page.querySelector("#older");
      if (further) older.replaceWith(further);
      else older.remove();
    });
  } catch {
    // No connection: the link stays, and works.
  } finally {
    loading = false;
    log.removeAttribute("aria-busy");
    // One that still shows is asked for again.
    setTimeout(watchOlder, SETTLE);
  }
}

// What has been read, by oneself and by the others

let marked = 0;
let marking = null;

function markRead() {
  marking ??= setTimeout(async () => {
    marking = null;
    if (document.visibilityState !== "visible" || !isNewest || isGone) return;
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

// Those who saw the newest message and did not write it.
function showSeen() {
  const last = newest();
  const seq = Number(last?.dataset.seq ?? 0);
  const names = all("#readers > li")
    .filter(({ dataset }) => Number(dataset.seq) >= seq && dataset.user !== me && dataset.user !== last?.dataset.author)
    .map((reader) => reader.textContent);
  const line = document.getElementById("seen");
  line.textContent = names.length && last ? talk.dataset.seen.replace("{names}", listed(names)) : "";
}

const listed = (names) => new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" }).format(names);

function hearRead({ user_id: user, seq }) {
  const reader = document.querySelector(`#readers > [data-user="${CSS.escape(user)}"]`);
  if (!reader || Number(reader.dataset.seq) >= seq) return;
  reader.dataset.seq = seq;
  steadily(() => {});
}

log.addEventListener("scroll", () => {
  if (isAtEnd() && isNewest) toNewest.hidden = true;
  markRead();
}, { passive: true });
document.addEventListener("visibilitychange", markRead);
window.addEventListener("focus", markRead);

// Who is typing

const typing = new Map();

function hearTyping({ user }) {
  if (user.id === me) return;
  clearTimeout(typing.get(user.id)?.timer);
  typing.set(user.id, { name: user.name, timer: setTimeout(() => stopTyping(user.id), TYPING + 1000) });
  showTyping();
}

function stopTyping(id) {
  clearTimeout(typing.get(id)?.timer);
  if (typing.delete(id)) showTyping();
}

function showTyping() {
  if (isGone) return;
  const names = [...typing.values()].map(({ name }) => name);
  const text = names.length > 1 ? talk.dataset.typingMany : talk.dataset.typing;
  document.getElementById("typing").textContent = names.length ? text.replace("{names}", listed(names)) : "";
}

// The socket of every page tells us what it hears

document.body.addEventListener("chat:frame", ({ detail: frame }) => {
  const { type, data = {} } = frame;
  if (isGone || (data.chat_id ?? frame.chat_id ?? data.id) !== chat) return;
  if (type === "chat.message") {
    if (data.author) stopTyping(data.author.id);
    // One's own comes with the answer to sending it.
    if (data.author?.id === me && sending) held.add(data.id);
    else learn(data.id);
  } else if (type === "chat.read") hearRead(data);
  else if (type === "chat.typing") hearTyping(frame);
  else if (type === "chat.deleted") leave();
  else if (type === "chat.changed") lookAgain().catch(() => {});
});

const subscribe = () => tell("live:say", { action: "subscribe", chat_id: chat });
document.body.addEventListener("live:open", subscribe);
document.body.addEventListener("live:missed", () => refresh().catch(() => {}));
document.body.addEventListener("live:cut", () => lookAgain().catch(() => {}));

// What became of stock changes the cards that show it.
let cards = null;
document.body.addEventListener("stock:changed", () => {
  cards ??= setTimeout(() => {
    cards = null;
    for (const card of all("#messages .about").slice(-MANY)) learn(card.closest("li").dataset.id);
  }, SETTLE);
});

// Sending: one after the other, each under one key however often it is tried

const held = new Set();
let line = Promise.resolve();

function pend(entry) {
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

function attempt(entry, item) {
  item.classList.remove("has-failed");
  item.setAttribute("aria-busy", "true");
  item.querySelector(".has-failed").textContent = "";
  sending += 1;
  line = line.then(async () => {
    try {
      const body = new FormData();
      for (const [name, value] of entry.fields) body.append(name, value);
      const answer = await ask(`${at}/messages`, { method: "POST", body });
      const sent = answer.ok ? parsed(await answer.text()).querySelector("li") : null;
      if (!sent) return fail(item, said(answer));
      forget(entry);
      held.delete(sent.dataset.id);
      steadily(() => {
        item.remove();
        put(sent);
      });
      tell("chats:changed");
    } catch {
      fail(item, "");
    } finally {
      sending -= 1;
      if (!sending) {
        held.forEach(learn);
        held.clear();
      }
      markRead();
    }
  });
}

function fail(item, reason) {
  item.classList.add("has-failed");
  item.removeAttribute("aria-busy");
  item.querySelector(".has-failed").textContent = `${talk.dataset.unsent} ${reason}`;
}

function send() {
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

// Writing

function grow() {
  words.style.blockSize = "auto";
  words.style.blockSize = `${words.scrollHeight + 2}px`;
}

let saidTyping = 0;

function startWriting() {
  const draft = read(DRAFT, "");
  if (!words.value && draft) words.value = draft;
  grow();

  words.addEventListener("input", () => {
    grow();
    keep(DRAFT, words.value || null);
    propose();
    if (words.value && Date.now() - saidTyping > TYPED) {
      saidTyping = Date.now();
      tell("live:say", { action: "typing", chat_id: chat });
    }
  });

  words.addEventListener("keydown", (event) => {
    if (choose(event) || event.isComposing) return;
    // On a phone Enter is a new line: the thumb has a button.
    if (event.key === "Enter" && !event.shiftKey && matchMedia("(hover: hover)").matches) {
      event.preventDefault();
      composer.requestSubmit();
    }
  });

  words.addEventListener("blur", () => setTimeout(closePeople, 150));

  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });

  words.addEventListener("paste", (event) => {
    const pasted = [...(event.clipboardData?.files ?? [])];
    if (!pasted.length) return;
    event.preventDefault();
    attach(pasted);
  });

  for (const id of ["files", "camera"]) {
    const input = document.getElementById(id);
    const take = () => {
      attach([...input.files]);
      input.value = "";
    };
    input.addEventListener("change", take);
    // Chosen before this script was here.
    take();
  }

  talk.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    talk.classList.add("is-over");
  });
  talk.addEventListener("dragleave", (event) => {
    if (!talk.contains(event.relatedTarget)) talk.classList.remove("is-over");
  });
  talk.addEventListener("drop", (event) => {
    talk.classList.remove("is-over");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    attach([...event.dataTransfer.files]);
  });

  // What is answered came with htmx, from a sheet that closes: go on writing.
  const sheet = document.getElementById("sheet");
  let isAnswering = false;
  document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target.id !== "about") return;
    isAnswering = sheet.open;
    if (!sheet.open) words.focus();
  });
  sheet.addEventListener("close", () => {
    if (isAnswering) words.focus();
    isAnswering = false;
  });

  // What did not go before the page was left can still go, once.
  for (const entry of isNewest ? read(UNSENT, []) : []) {
    const item = pend(entry);
    if (entry.isAway) attempt(entry, item);
    else fail(item, "");
  }
}

// Files: each goes on its own as soon as it is chosen

const tray = document.getElementById("tray");
const going = new WeakMap();
const attached = () => [...tray.children].map((item) => going.get(item));

function attach(chosen) {
  const room = MAX_FILES - tray.childElementCount;
  if (chosen.length > room) toast(talk.dataset.tooMany);
  for (const file of chosen.slice(0, Math.max(0, room))) attachOne(file);
}

function attachOne(file) {
  const item = document.getElementById("attached").content.cloneNode(true).firstElementChild;
  const bar = item.querySelector("progress");
  const file_ = { name: file.name, state: "going" };
  item.querySelector(".name").textContent = file.name;
  if (file.type.startsWith("image/")) {
    const picture = item.querySelector("img");
    file_.preview = URL.createObjectURL(file);
    picture.addEventListener("error", () => (picture.hidden = true));
    picture.src = file_.preview;
    picture.hidden = false;
  }
  file_.upload = new Upload(file, { url: filesUrl, onprogress: (share) => (bar.value = share) });
  going.set(item, file_);
  tray.append(item);
  item.querySelector("[data-cancel]").addEventListener("click", () => {
    if (file_.id) fetch(`${filesUrl}/${file_.id}`, { method: "DELETE" }).catch(() => {});
    dismiss(item);
    settle();
    words.focus();
  });
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
      item.classList.add("has-failed");
      if (!failed.isCancelled) item.querySelector(".error").textContent = failed.message || talk.dataset.unsent;
      composer.classList.remove("is-waiting");
      document.getElementById("typing").textContent = "";
    },
  );
}

function dismiss(item) {
  const { upload, state, preview } = going.get(item);
  if (state === "going") upload.cancel();
  if (preview) URL.revokeObjectURL(preview);
  item.remove();
}

// Whoever pressed Send while files were on their way has sent.
function settle() {
  if (composer.classList.contains("is-waiting") && !attached().some(({ state }) => state === "going")) send();
}

// Whom one means: @ and the beginning of a name

const people = document.getElementById("people");
const shown = () => all('[role="option"]:not([hidden])', people);
const selected = () => people.querySelector('[aria-selected="true"]');
const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function meant() {
  const before = words.value.slice(0, words.selectionStart);
  const found = /(?:^|[\s(])@([^@\n]{0,40})$/.exec(before);
  return found && { start: before.length - found[1].length, typed: fold(found[1]) };
}

function propose() {
  const wanted = meant();
  if (!wanted) return closePeople();
  for (const option of people.children) {
    const name = fold(option.dataset.name);
    const fits = name.startsWith(wanted.typed) || name.split(/\s+/).some((part) => part.startsWith(wanted.typed));
    option.hidden = !fits;
    option.setAttribute("aria-selected", "false");
  }
  const [first] = shown();
  people.hidden = !first;
  if (first) mark(first);
  else words.removeAttribute("aria-activedescendant");
}

function mark(option) {
  selected()?.setAttribute("aria-selected", "false");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  words.setAttribute("aria-activedescendant", option.id);
}

function closePeople() {
  people.hidden = true;
  words.removeAttribute("aria-activedescendant");
}

function pick(option) {
  const { start } = meant();
  const end = words.selectionStart;
  words.setRangeText(`${option.dataset.name} `, start, end, "end");
  closePeople();
  words.dispatchEvent(new Event("input", { bubbles: true }));
}

// Whether the key was for the list.
function choose(event) {
  if (people.hidden) return false;
  const options = shown();
  const index = options.indexOf(selected());
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) mark(options[(index + step + options.length) % options.length]);
  else if (event.key === "Enter" || event.key === "Tab") pick(options[index]);
  else if (event.key === "Escape") closePeople();
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}

people?.addEventListener("mousedown", (event) => {
  const option = event.target.closest('[role="option"]');
  event.preventDefault();
  event.stopPropagation();
  if (option) pick(option);
});

// The phone's keyboard lies over the page where the browser does not make room for it.

function makeRoom() {
  const { height, offsetTop } = window.visualViewport;
  const hidden = Math.max(0, window.innerHeight - height - offsetTop);
  document.documentElement.style.setProperty("--keyboard", `${hidden}px`);
}

window.visualViewport?.addEventListener("resize", makeRoom);
window.visualViewport?.addEventListener("scroll", makeRoom);

// What htmx swapped in by itself, such as a reaction, is put in order too.
document.body.addEventListener("htmx:oobAfterSwap", () => steadily(() => {}));

if (composer) startWriting();
arrange();
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" });
else document.querySelector("#messages > .is-first-new")?.scrollIntoView({ block: "start" });
watchOlder();
subscribe();
markRead();
if (document.body.dataset.live) refresh().catch(() => {});
