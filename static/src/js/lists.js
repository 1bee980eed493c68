// Lists of lots: what was acted on fades at once, focus stays where the hand is, and what was loaded stays loaded.

// One line of defence against double taps; the lot's version is the other.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const lot = event.target.closest(".lot");
  if (!lot || event.detail.requestConfig.verb !== "post") return;
  if (lot.classList.contains("is-leaving")) event.preventDefault();
  lot.classList.add("is-leaving");
});

// Nothing moves up under a finger that may come down once more: a list waits for half a second without a tap.
const PAUSE = 500;
let tapped = -PAUSE;

// Nor while a finger rests on it, when others change something.
document.addEventListener("pointerdown", (event) => {
  if (event.target.closest(".lot")) tapped = Infinity;
});

for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, (event) => {
    if (tapped === Infinity) tapped = event.timeStamp;
  });
}

document.body.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.triggeringEvent?.type.startsWith("stock:") || tapped + PAUSE < performance.now()) return;
  event.preventDefault();
  const wait = () => {
    const rest = tapped + PAUSE - performance.now();
    if (rest > 0) setTimeout(wait, Math.min(rest, PAUSE));
    else event.detail.issueRequest();
  };
  wait();
});

document.body.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) event.target.closest?.(".lot")?.classList.remove("is-leaving");
});

// A list that was extended is refreshed at its length.
document.body.addEventListener("htmx:configRequest", (event) => {
  const list = event.target;
  if (!list.dataset?.refreshes) return;
  const shown = list.querySelectorAll(".lot").length;
  if (shown > 50) event.detail.parameters.set("limit", Math.min(shown, 200));
});

// The row that had the focus may be gone after a refresh: then the one in its place gets it.
let lost = null;

document.body.addEventListener("htmx:beforeSwap", (event) => {
  const row = document.activeElement?.closest(".lot");
  if (!row || !event.detail.target.contains(row)) return;
  const rows = [...event.detail.target.querySelectorAll(".lot")];
  lost = { target: event.detail.target.id, index: rows.indexOf(row) };
});

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (!lost || event.detail.target.id !== lost.target) return;
  const { index } = lost;
  lost = null;
  if (document.activeElement && document.activeElement !== document.body) return;
  const rows = event.detail.target.querySelectorAll(".lot");
  rows[Math.min(index, rows.length - 1)]?.querySelector("a, button")?.focus({ preventScroll: true });
});

// On a desk a lot opens beside the list, on a phone as a page of its own.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const link = event.target.closest("a[data-pane]");
  if (!link) return;
  const pane = document.getElementById(link.dataset.pane);
  if (pane && pane.offsetParent !== null) {
    document.querySelector(".lot.is-open")?.classList.remove("is-open");
    link.closest(".lot")?.classList.add("is-open");
    return;
  }
  event.preventDefault();
  window.location.assign(link.href);
});
