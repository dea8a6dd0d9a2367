"use strict";
// The pages work without this script. It fills in the code of a log-in link, and draws the map anew.
const code = document.getElementById("code");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
const drawing = document.querySelector("svg[data-refresh]");
if (drawing) {
  setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Refresh": "1" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("svg[data-refresh]");
    const now = document.querySelector("svg[data-refresh]");
    if (next && now && !now.contains(document.activeElement)) now.replaceWith(document.importNode(next, true));
  }, Number(drawing.dataset.refresh) * 1000);
}
