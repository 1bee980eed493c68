// The panel's lists: choose all at once, and do nothing before something is chosen.
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-check-all]")) return;
  for (const box of target.form.querySelectorAll('input[name="pks"]')) box.checked = target.checked;
});
