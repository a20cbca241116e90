// Fetches the page anew when the server says that something has moved, and swaps its live part. At most one fetch a second.
import { enhance } from "./enhance";

const PAUSE_MS = 1_000;
const REOPEN_MS = 5_000;

/** `name`: of the events that say so. */
function watch(live: HTMLElement, address: string, name: string): void {
  let isWanted = false;
  let isRunning = false;

  async function refresh(): Promise<void> {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      try {
        const signal = AbortSignal.timeout(20_000);
        const answer = await fetch(location.href, { cache: "no-store", headers: { "Larder-By-Itself": "1" }, signal });
        if (answer.redirected) return location.assign(answer.url);
        if (answer.ok) isWanted ||= !swap(live, new DOMParser().parseFromString(await answer.text(), "text/html"));
      } catch {
        isWanted = true; // the server is away; the stream's own reconnect sets the pace
      }
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
    isRunning = false;
  }

  function listen(): void {
    const stream = new EventSource(address);
    stream.addEventListener(name, refresh);
    stream.addEventListener("open", () => {
      tell("live", "Live");
      void refresh();
    });
    stream.addEventListener("error", () => {
      tell("lost", "Reconnecting…");
      if (stream.readyState !== EventSource.CLOSED) return; // the browser opens it again by itself
      void refresh(); // refused: at the end of the session this leads to the login
      setTimeout(listen, REOPEN_MS);
    });
  }

  listen();
}

/** Returns false while somebody has a menu or a dialog open there. */
function swap(live: HTMLElement, page: Document): boolean {
  const fresh = page.getElementById(live.id);
  if (live.querySelector(":popover-open, dialog:modal")) return false;
  if (!fresh) return true;
  const focused = live.contains(document.activeElement) ? document.activeElement?.getAttribute("href") : null;
  live.replaceChildren(...fresh.children);
  enhance(live);
  if (focused) live.querySelector<HTMLElement>(`a[href="${CSS.escape(focused)}"]`)?.focus();
  return true;
}

function tell(state: string, words: string): void {
  const place = document.querySelector<HTMLElement>("[data-liveness]");
  if (!place || (place.textContent === words && !place.hidden)) return;
  place.hidden = false;
  place.dataset["liveness"] = state;
  place.textContent = words;
}

const live = document.getElementById("live");
if (live?.dataset["stream"]) watch(live, live.dataset["stream"], live.dataset["event"] ?? "message");
