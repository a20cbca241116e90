// Fetches the page anew when the server says that orders have moved, and swaps its live part. At most one fetch a second.
"use strict";

const live = document.getElementById("live");
let wanted = false;
let running = false;

async function refresh() {
  wanted = true;
  if (running) return;
  running = true;
  while (wanted) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { "Larder-By-Itself": "1" } });
      if (answer.redirected) {
        location.assign(answer.url);
        return;
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      live.replaceChildren(...page.getElementById("live").children);
    } catch {
      wanted = true; // the server is away; the stream's own reconnect sets the pace
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
  running = false;
}

function listen() {
  const stream = new EventSource(live.dataset.stream);
  stream.addEventListener("orders", refresh);
  stream.addEventListener("open", refresh);
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) return; // the browser opens it again by itself
    refresh(); // refused: at the end of the session this leads to the login
    setTimeout(listen, 5000);
  });
}

listen();
