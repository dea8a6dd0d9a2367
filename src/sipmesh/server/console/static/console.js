"use strict";
// The pages work without this script. It fills in the code of a log-in link, and shows live values.
const code = document.getElementById("code");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
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
