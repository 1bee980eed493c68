// Short messages with one thing to do about them. They arrive as `toast` events in HX-Trigger headers.
import htmx from "htmx.org";

const SECONDS = 10;
const region = document.getElementById("toasts");

export function lastAction() {
  return region?.querySelector(".toast:last-child [data-act]");
}

function show({ message, level, action, label }) {
  const toast = document.createElement("div");
  toast.className = `toast ${level}`;
  const text = document.createElement("span");
  text.className = "text";
  text.textContent = message;
  toast.append(text);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.dataset.act = action;
    button.textContent = label;
    toast.append(button);
  }
  // A modal dialog makes all that lies outside it inert.
  (document.querySelector("dialog[open]") ?? document.body).append(region);
  // What others did stands above, and leaves the undo of what one did oneself where it is.
  for (const old of region.querySelectorAll(level === "info" ? ".toast.info" : ".toast:not(.info)")) old.remove();
  if (level === "info") region.prepend(toast);
  else region.append(toast);
  expire(toast);
}

function expire(toast) {
  const isBusy = () => toast.matches(":hover, :focus-within");
  const check = () => (isBusy() ? setTimeout(check, 1000) : toast.remove());
  setTimeout(check, SECONDS * 1000);
}

region?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  event.preventDefault();
  button.closest(".toast").remove();
  htmx.ajax("POST", button.dataset.act, { source: document.body, swap: "none" });
});

document.body.addEventListener("toast", (event) => show(event.detail));

for (const toast of region?.querySelectorAll(".toast") ?? []) expire(toast);

// No answer at all: say so, for nothing else would.
document.body.addEventListener("htmx:sendError", () => show({ message: region.dataset.offline, level: "error" }));
