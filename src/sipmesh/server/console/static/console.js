"use strict";
// The pages work without this script. It sends the code of a log-in link, shows live values, copies, and says that a form is sent.
const code = document.getElementById("code");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  if (code.form.dataset.sends) code.form.requestSubmit(); // not if another site has led here
}
function loadAgain(part) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Refresh": "1" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById(part.id);
    const now = document.getElementById(part.id);
    if (next && now && !now.contains(document.activeElement)) now.replaceWith(document.importNode(next, true));
  }, Number(part.dataset.refresh) * 1000);
}
// Each event is a row of the table. If the server refuses the stream, the page is loaded again instead.
function follow(part) {
  const rows = part.querySelector("tbody");
  const events = new EventSource(part.dataset.events);
  events.onmessage = (event) => {
    const page = new DOMParser().parseFromString(`<table><tbody>${event.data}</tbody></table>`, "text/html");
    const row = page.querySelector("tr");
    if (!row) return;
    rows.querySelector(".none")?.remove();
    rows.prepend(document.importNode(row, true));
    while (rows.rows.length > 200) rows.deleteRow(-1);
  };
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) loadAgain(part);
  };
}
const part = document.querySelector("[data-refresh][id]");
if (part && part.dataset.events) follow(part);
else if (part) loadAgain(part);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.textContent = "Copied";
});
// What lasts shows that it is under way, and is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || !form.classList.contains("stack")) return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "1";
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "under way");
  form.append(bar);
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("progress").remove();
  }
});
