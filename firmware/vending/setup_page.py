"""The page of a board without settings. It reads them from what stands behind # in its own address.

A browser never sends that part, so Wi-Fi password and claim code are in no request line and no log; and the page takes
it out of the address at once. It is the signed file, compressed by zlib, as base64url without padding.
"""

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: " + POLICY,
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
)

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Set up this machine</title>
<style>
:root {
  color-scheme: light dark;
  --ground: #f5f3ee; --sheet: #fff; --ink: #1d1c19; --quiet: #5b5850; --line: #dcd8cd;
  --accent: #0b6b4f; --on-accent: #fff; --bad: #a3281e; --bad-wash: #fbe9e6; --focus: #1d4ed8;
  font: 16px/1.45 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #131412; --sheet: #1f211e; --ink: #f2f0ea; --quiet: #b5b1a6; --line: #383b35;
    --accent: #5fd0a5; --on-accent: #06251a; --bad: #ff9c8f; --bad-wash: #3a1c18; --focus: #93b4ff;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main { max-width: 30rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; display: grid; gap: 1rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.2; }
p, ol, dl, dd { margin: 0; padding: 0; }
.quiet, dt, li { color: var(--quiet); }
section {
  display: grid; gap: .8rem; padding: 1rem;
  border: 1px solid var(--line); border-radius: 1rem; background: var(--sheet);
}
.bad { border-color: var(--bad); background: var(--bad-wash); color: var(--bad); overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; }
dd { overflow-wrap: anywhere; font-weight: 600; }
ol { list-style: none; display: grid; gap: .5rem; }
li { padding-left: 1.6rem; }
li::before { content: "\\25CB"; float: left; margin-left: -1.6rem; }
li.now { color: var(--ink); font-weight: 600; }
li.now::before { content: "\\25B6"; }
li.done::before { content: "\\2713"; color: var(--accent); }
label { font-weight: 600; }
textarea {
  width: 100%; min-height: 6rem; padding: .6rem; border: 1px solid var(--line); border-radius: .6rem;
  font: .8rem/1.4 monospace; background: var(--ground); color: var(--ink);
}
button {
  min-height: 3rem; padding: 0 1.25rem; border: 2px solid var(--accent); border-radius: 999px;
  font: 600 1rem/1.2 system-ui, sans-serif; background: var(--accent); color: var(--on-accent);
}
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
</style>
<main>
<header><h1>Set up this machine</h1><p class="quiet" id="network"></p></header>
<section class="bad" id="trouble" role="alert" hidden></section>
<section id="ask">
<p>Scan the second code on your sheet with the camera of this phone. The settings then appear here.</p>
<label for="pasted">Or paste the settings</label>
<textarea id="pasted" autocomplete="off" spellcheck="false"></textarea>
<button id="read">Read them</button>
</section>
<section id="found" hidden>
<dl><dt>Wi-Fi</dt><dd id="wifi"></dd><dt>Gateway</dt><dd id="gateway"></dd>
<dt>Slots</dt><dd id="slots"></dd><dt>Device</dt><dd id="device"></dd></dl>
<button id="start">Set up with these</button>
</section>
<section id="work" hidden>
<ol aria-label="Progress">
<li id="checking">Check who signed the settings</li>
<li id="joining">Join the Wi-Fi</li>
<li id="reaching">Reach the gateway</li>
<li id="saved">Save</li>
</ol>
<p id="now" role="status"></p>
</section>
</main>
<script>
"use strict";
const STEPS = ["checking", "joining", "reaching", "saved"];
const WORDS = {
  checking: "Checking the signature. This takes up to half a minute.",
  joining: "Joining the Wi-Fi. Your phone may lose this page's network for a moment.",
  reaching: "Looking for the gateway.",
  saved: "Saved. The machine restarts and sells in about a minute. You can leave its Wi-Fi now.",
};
const NEW_BOARD = "settings.json is missing";
const TOO_OLD = "This browser is too old to read the code. Paste the settings instead.";
const ASK_MS = 1000, PATIENCE = 5;
const part = (id) => document.getElementById(id);
let offered = null;  // the signed file
let sent = false;  // the board is at work on it
let last = null;  // the state it told of
let missed = 0;  // answers in a row

function show(id) {
  for (const one of ["ask", "found", "work"]) part(one).hidden = one !== id;
}

function complain(text) {
  part("trouble").textContent = text;
  part("trouble").hidden = !text;
}

async function unpack(packed) {
  const binary = atob(packed.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

async function read(text) {
  const given = text.trim().replace(/^https?:[^#]*#/, "");
  const packed = !given.startsWith("{");
  if (packed && !("DecompressionStream" in window)) return complain(TOO_OLD);
  try {
    const file = packed ? await unpack(given) : given;
    const outer = JSON.parse(file);
    const settings = "signature" in outer ? JSON.parse(outer.text) : outer;
    part("wifi").textContent = settings.wifi ? settings.wifi.ssid : "none";
    part("gateway").textContent = settings.gateway_host || "found on the network";
    part("slots").textContent = Object.keys(settings.slots).join(", ");
    part("device").textContent = settings.device_id;
    offered = file;
  } catch {
    complain("These are no settings. Scan the code again, or paste all of the text.");
    return show("ask");
  }
  complain("");
  show("found");
  part("start").focus();
}

function readAddress() {
  const packed = location.hash.slice(1);
  if (!packed || sent) return;
  history.replaceState(null, "", location.pathname);
  read(packed);
}

async function send() {
  complain("");
  try {
    const answer = await fetch("/settings", { method: "POST", body: offered });
    if (!answer.ok && answer.status !== 409) throw new Error(answer.statusText);
    sent = true;
    draw("checking", null);
  } catch {
    complain("The board did not take the settings. Is your phone still on its Wi-Fi? Then try again.");
  }
}

function draw(state, reason) {
  last = state;
  if (STEPS.includes(state)) {
    const now = STEPS.indexOf(state);
    STEPS.forEach((step, place) => {
      part(step).className = place < now || state === "saved" ? "done" : place === now ? "now" : "";
    });
    part("now").textContent = WORDS[state];
    complain("");
    return show("work");
  }
  if (state === "failed") complain("Not saved: " + reason + ".");
  else if (sent) complain("The board has restarted, and has no settings yet. Try again.");
  else if (reason !== NEW_BOARD) complain("The settings on the board cannot be used: " + reason + ".");
  sent = false;
  show(offered ? "found" : "ask");
}

async function watch() {
  try {
    const told = await (await fetch("/state", { signal: AbortSignal.timeout(4 * ASK_MS) })).json();
    if (missed >= PATIENCE) complain("");
    missed = 0;
    part("network").textContent = told.network;
    if (told.state !== last) draw(told.state, told.reason);
  } catch {
    missed += 1;
    if (missed === PATIENCE && sent)
      complain("The board does not answer. If its lamp is steady it is set up; else go back to its Wi-Fi.");
    else if (missed === PATIENCE) complain("The board does not answer. Is your phone still on its Wi-Fi?");
  }
  if (last !== "saved") setTimeout(watch, ASK_MS);
}

part("read").onclick = () => read(part("pasted").value);
part("start").onclick = send;
addEventListener("hashchange", readAddress);
readAddress();
watch();
</script>
</html>
"""
