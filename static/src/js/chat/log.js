// The log: each message in its place, and nothing moves under the eyes.
import { all, log, me, messages, state, talk } from "./page.js";

const NEAR = 80;
const FOLLOWS = 5 * 60;
// What a message has by its place.
const LOOKS = ["starts-day", "follows", "is-first-new"];
const dayNow = document.getElementById("day-now");

// The log runs from its end: at the newest, it is scrolled by nothing.
export const isAtEnd = () => Math.abs(log.scrollTop) < NEAR;

// Change what is in the log, and leave what is being read where it is.
export function steadily(change) {
  if (state.isGone) return;
  const wasAtEnd = isAtEnd();
  const anchor = wasAtEnd ? null : firstInSight();
  const before = anchor?.getBoundingClientRect().top;
  change();
  arrange();
  if (wasAtEnd) log.scrollTop = 0;
  else if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
  showDay();
}

function firstInSight() {
  const { top } = log.getBoundingClientRect();
  return [...messages.children].find((each) => each.getBoundingClientRect().bottom > top);
}

// The day one reads about stays in sight when its heading is above.
export function showDay() {
  const heading = firstInSight()?.querySelector(".day");
  const isInSight = heading?.offsetParent && heading.getBoundingClientRect().top >= log.getBoundingClientRect().top;
  dayNow.hidden = !heading || isInSight;
  dayNow.textContent = heading?.textContent ?? "";
}

// Days begin, and one's messages follow each other, wherever they came from.
export function arrange() {
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
  if (last) talk.querySelector(".first")?.remove();
  showSeen();
}

export const newest = () => all("#messages > [data-seq]").pop();

export function put(item) {
  const old = document.getElementById(item.id);
  if (old) {
    for (const look of LOOKS) item.classList.toggle(look, old.classList.contains(look));
    // What is the same is not read out again.
    if (old.isEqualNode(item)) return;
    // Whoever is about to tap a reaction keeps the focus on it.
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(item);
    const again = focused && item.querySelector(`[value="${CSS.escape(focused.value ?? "")}"], .dots`);
    again?.focus({ preventScroll: true });
  } else {
    const seq = Number(item.dataset.seq);
    const after = [...messages.children].find(
      (each) => each.classList.contains("is-pending") || Number(each.dataset.seq) > seq,
    );
    messages.insertBefore(item, after ?? null);
  }
  window.htmx.process(item);
}

// Those who saw the newest message and did not write it.
function showSeen() {
  const last = newest();
  const seq = Number(last?.dataset.seq ?? 0);
  const names = all("#here > li")
    .filter(({ dataset }) => Number(dataset.seq) >= seq && dataset.user !== me && dataset.user !== last?.dataset.author)
    .map(({ dataset }) => dataset.name);
  const line = document.getElementById("seen");
  line.textContent = names.length && last ? talk.dataset.seen.replace("{names}", listed(names)) : "";
}

const list = new Intl.ListFormat(document.documentElement.lang, { type: "conjunction" });
export const listed = (names) => list.format(names);

export const here = (user) => document.querySelector(`#here > [data-user="${CSS.escape(user)}"]`);

export function hearRead({ user_id: user, seq }) {
  const reader = here(user);
  if (!reader || Number(reader.dataset.seq) >= seq) return;
  reader.dataset.seq = seq;
  steadily(() => {});
}
