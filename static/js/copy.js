// Copies what a [data-copy] element names: its value, else the address it links to.

const status = document.getElementById("status");

document.addEventListener("click", async (event) => {
  const source = event.target.closest("[data-copy]");
  if (!source || !navigator.clipboard) return;
  event.preventDefault();
  const text = source.dataset.copy || source.href;
  const before = source.textContent;
  try {
    await navigator.clipboard.writeText(text);
    source.textContent = "Copied";
    if (status) status.textContent = "Copied";
  } catch {
    window.location.assign(source.href ?? window.location.href);
    return;
  }
  setTimeout(() => { source.textContent = before; }, 1500);
});
