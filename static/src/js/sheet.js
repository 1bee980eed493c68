// The one dialog: whatever is loaded into it opens it.
const sheet = document.getElementById("sheet");
const body = document.getElementById("sheet-body");

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target !== body || sheet.open || !body.childElementCount) return;
  sheet.showModal();
  body.querySelector("[autofocus]")?.focus();
});

sheet?.addEventListener("click", (event) => {
  if (event.target === sheet || event.target.closest("[data-close]")) {
    event.preventDefault();
    sheet.close();
  }
});

sheet?.addEventListener("close", () => {
  const toasts = sheet.querySelector(".toasts");
  if (toasts) document.body.append(toasts);
  body.replaceChildren();
  body.classList.remove("is-leaving");
});

// What was tapped in it is tapped once, and a second tap does not fall through to the page below.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const isOurs = body?.contains(event.target) && !event.target.closest("#add");
  if (isOurs && event.detail.requestConfig.verb === "post") body.classList.add("is-leaving");
});

document.body.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) body?.classList.remove("is-leaving");
});

document.body.addEventListener("sheet:close", () => setTimeout(() => sheet?.close(), 300));
