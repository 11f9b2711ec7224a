// The filter bar: choices apply at once, so the Apply button is only for pages without script,
// and the two dates show only while the period is a custom one. An open popover closes on Escape
// or on a click elsewhere.

const prepare = () => {
  for (const form of document.querySelectorAll("form[data-filters]")) {
    const custom = form.elements.period?.value === "custom";
    for (const part of form.querySelectorAll("[data-custom]")) part.hidden = !custom;
    for (const button of form.querySelectorAll("[data-apply]")) button.hidden = !custom;
  }
};

const closeOthers = (kept) => {
  for (const popover of document.querySelectorAll("details.popover[open]")) {
    if (!popover.contains(kept)) popover.open = false;
  }
};

document.addEventListener("change", ({ target }) => {
  const form = target.closest?.("form[data-filters]");
  if (!form) return;
  prepare();
  if (target.name === "period" && target.value === "custom") return; // wait for the dates
  if (target.type === "date") return;
  form.requestSubmit();
});
document.addEventListener("click", ({ target }) => closeOthers(target));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  const open = document.querySelector("details.popover[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("htmx:afterSettle", prepare);
prepare();
