// What a person is told while a fragment is fetched: busy, failed with a way to retry, done.

const status = document.getElementById("status");
const announce = (text) => { if (status) status.textContent = text; };

const failure = (target, retry) => {
  target.querySelector(":scope > .banner-error")?.remove();
  const box = document.createElement("div");
  box.className = "banner banner-error cluster";
  box.role = "alert";
  const text = document.createElement("span");
  text.textContent = "This could not be loaded; the figures below are the earlier ones.";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Retry";
  button.addEventListener("click", retry);
  box.append(text, button);
  target.prepend(box);
};

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  detail.target.setAttribute("aria-busy", "true");
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  detail.target.removeAttribute("aria-busy");
  const code = detail.xhr.status;
  if (code >= 400 && code < 500) return; // the answer itself says what is wrong
  if (detail.failed || code === 0) {
    const { path, verb } = detail.requestConfig;
    const retry = () => window.htmx.ajax(verb, path, { source: detail.elt, target: detail.target });
    failure(detail.target, retry);
  }
});

document.addEventListener("htmx:afterSettle", () => {
  const { title, status: told } = document.getElementById("report")?.dataset ?? {};
  if (title) document.title = `${title} - LLM costs`;
  if (told) announce(told);
});
