// The panel's lists and boxes: choose all at once, and find one among many.
document.addEventListener("change", ({ target }) => {
  const within = target.matches("[data-check-all]") ? target.form : target.closest("[data-check-these]") && target.closest("fieldset");
  if (!within) return;
  for (const box of within.querySelectorAll("input[type=checkbox][name]:not(:disabled)")) {
    if (!box.closest("[hidden]")) box.checked = target.checked;
  }
});

document.addEventListener("input", ({ target }) => {
  const list = document.getElementById(target.dataset.findIn);
  if (!list) return;
  const sought = target.value.trim().toLowerCase();
  for (const one of list.querySelectorAll("[data-find]")) one.hidden = !one.dataset.find.includes(sought);
  for (const group of list.children) group.hidden = !group.querySelector("[data-find]:not([hidden])");
});
