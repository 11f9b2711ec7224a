// Keyboard shortcuts (templates/partials/_shortcuts.html lists them). The server includes this file
// only for people who have not switched them off; a key typed into a field is never taken.

const press = (selector) => {
  const target = document.querySelector(selector);
  if (!target) return false;
  target.click();
  return true;
};

const help = () => {
  const dialog = document.getElementById("shortcuts");
  if (!dialog || dialog.open) return false;
  dialog.showModal();
  return true;
};

const filter = () => {
  const field = document.querySelector("form[data-filters] :is(select, input):not([type=hidden])");
  field?.focus();
  return Boolean(field);
};

const exporting = () => {
  const popover = document.getElementById("export");
  if (!popover) return press("a[data-export]");
  popover.open = true;
  popover.querySelector("a")?.focus();
  return true;
};

const actions = {
  "/": filter,
  "[": () => press("a[rel=prev]"),
  "]": () => press("a[rel=next]"),
  c: () => press("a[data-copy][data-view]"),
  e: exporting,
  "?": help,
};

let going = 0; // until when a key after "g" names a page

const inField = ({ target }) =>
  target.isContentEditable || Boolean(target.closest?.("input, select, textarea, dialog"));

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || inField(event)) return;
  const now = performance.now();
  if (now < going) {
    going = 0;
    if (press(`.nav a[data-key="${CSS.escape(event.key)}"]`)) event.preventDefault();
    return;
  }
  if (event.key === "g") {
    going = now + 1500;
    return;
  }
  if (actions[event.key]?.()) event.preventDefault();
});
