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
// A trace is a ladder: who appears gets the next column, and each row has an arrow. Above 16 columns a row has words alone.
function draw(row) {
  const head = row.closest("table").tHead.rows[0];
  const heading = head.querySelector(".ladder") || document.createElement("th");
  if (!heading.isConnected) {
    heading.className = "ladder";
    heading.scope = "col";
    head.cells[0].after(heading);
  }
  const columns = [...row.querySelectorAll("[data-end]")].map((cell) => {
    const ends = [...heading.children];
    const known = ends.findIndex((end) => end.dataset.end === cell.dataset.end);
    if (known >= 0) {
      ends[known].textContent = cell.textContent;
      return known;
    }
    if (ends.length === 16) return -1;
    const end = document.createElement("span");
    end.dataset.end = cell.dataset.end;
    end.textContent = cell.textContent;
    heading.append(end);
    return ends.length;
  });
  const rung = document.createElement("td");
  rung.className = "ladder";
  row.cells[0].after(rung);
  row.closest("table").style.setProperty("--ends", heading.children.length);
  if (columns.includes(-1)) {
    rung.textContent = [...row.querySelectorAll("[data-end]")].map((cell) => cell.textContent).join(" \u2192 ");
    return;
  }
  const arrow = document.createElement("span");
  arrow.className = columns[0] > columns[1] ? "arrow back" : "arrow";
  arrow.style.setProperty("--first", Math.min(...columns));
  arrow.style.setProperty("--steps", Math.abs(columns[0] - columns[1]));
  rung.append(arrow);
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
    const { hop } = row.cells[0].dataset;
    const known = hop && [...rows.rows].find((one) => one.cells[0].dataset.hop === hop);
    if (known) return known.lastElementChild.append(...row.lastElementChild.childNodes);
    rows.prepend(document.importNode(row, true));
    if (hop) draw(rows.rows[0]);
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
