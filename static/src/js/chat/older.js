// Older messages come when one scrolls up to them.
import { put, steadily } from "./log.js";
import { SETTLE, all, ask, log, parsed } from "./page.js";

export const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && loadOlder(), {
  root: log,
  rootMargin: "600px 0px",
});
let loading = false;

export function watchOlder() {
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
