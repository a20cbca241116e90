export type Tone = "good" | "plain" | "bad";

const SECONDS = 6;

/** Says something in passing. What is bad stays until it is closed. */
export function toast(text: string, tone: Tone = "good"): void {
  const region = document.getElementById("toasts");
  if (!region) return;
  const line = document.createElement("p");
  line.className = `toast ${tone}`;
  if (tone === "bad") line.setAttribute("role", "alert");
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Dismiss";
  close.addEventListener("click", () => line.remove());
  line.append(words, close);
  region.append(line);
  if (tone !== "bad") leave(line);
}

/** Not while somebody reads it: with the pointer on it, or the focus in it. */
function leave(line: HTMLElement): void {
  const timer = window.setInterval(() => {
    if (line.matches(":hover, :focus-within")) return;
    clearInterval(timer);
    line.remove();
  }, SECONDS * 1000);
}

/** What the server said stands in the page from the start, where no screen reader would speak of it: say it anew. */
export function tellFlash(): void {
  for (const line of document.querySelectorAll("#toasts > .toast")) {
    const tone = (["plain", "bad"] as const).find((one) => line.classList.contains(one)) ?? "good";
    line.remove();
    setTimeout(() => toast(line.textContent ?? "", tone), 100);
  }
}
