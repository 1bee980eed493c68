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
});

document.body.addEventListener("sheet:close", () => sheet?.close());
