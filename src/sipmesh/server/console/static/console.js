"use strict";
// The pages work without this script. It fills in the code of a log-in link, and loads live values again.
const code = document.getElementById("code");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
const part = document.querySelector("[data-refresh][id]");
if (part) {
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
