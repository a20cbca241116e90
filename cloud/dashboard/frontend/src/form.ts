import { toast } from "./toast";

/** Everything that makes forms kinder. It listens at the document, so that it holds for what comes later, too. */
export function watchForms(): void {
  document.addEventListener("submit", submitOnce);
  document.addEventListener("click", pressed);
  document.addEventListener("input", keepDigits);
  addEventListener("pageshow", (event) => event.persisted && reset());
  document.querySelector<HTMLElement>("[data-summary]")?.focus();
}

/** A form that is on its way cannot be sent again, and says that it works. */
function submitOnce(event: SubmitEvent): void {
  const form = event.target as HTMLFormElement;
  if (event.defaultPrevented || form.method !== "post") return;
  if ("busy" in form.dataset) return event.preventDefault();
  form.dataset["busy"] = "";
  form.setAttribute("aria-busy", "true");
  const button = event.submitter ?? form.querySelector<HTMLElement>("[data-working]");
  const working = button?.dataset["working"];
  if (!button || !working) return;
  button.dataset["idle"] = button.textContent ?? "";
  button.textContent = working;
  button.setAttribute("aria-disabled", "true");
}

/** A page that comes back from the browser's memory has nothing on its way. */
function reset(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-busy]")) {
    delete form.dataset["busy"];
    form.removeAttribute("aria-busy");
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-idle]")) {
    button.textContent = button.dataset["idle"] ?? "";
    button.removeAttribute("aria-disabled");
  }
}

function pressed(event: MouseEvent): void {
  const button = (event.target as Element).closest<HTMLElement>("[data-show], [data-copy], [data-print], [data-save]");
  if (button && "show" in button.dataset) showPassword(button);
  else if (button && "print" in button.dataset) print();
  else if (button && "save" in button.dataset) save(button);
  else if (button) void copy(button);
}

function showPassword(button: HTMLElement): void {
  const input = button.parentElement?.querySelector("input");
  if (!input) return;
  const isShown = input.type === "password";
  input.type = isShown ? "text" : "password";
  button.setAttribute("aria-pressed", String(isShown));
  button.textContent = isShown ? "Hide" : "Show";
}

async function copy(button: HTMLElement): Promise<void> {
  const input = document.getElementById(button.dataset["copy"] ?? "") as HTMLInputElement | HTMLTextAreaElement;
  try {
    await navigator.clipboard.writeText(input.value);
    toast("Copied.");
  } catch {
    input.select();
    toast("Press Ctrl+C to copy what is selected.", "plain");
  }
}

/** As a file. Its address says nothing, where one that has it all in it would stand among what the browser has downloaded. */
function save(button: HTMLElement): void {
  const text = document.getElementById(button.dataset["save"] ?? "") as HTMLTextAreaElement;
  const link = document.createElement("a");
  const blob = "base64" in button.dataset ? binary(text.value) : new Blob([text.value], { type: "application/json" });
  link.href = URL.createObjectURL(blob);
  link.download = button.dataset["name"] ?? "";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers begin to read it only later
}

function binary(base64: string): Blob {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "application/octet-stream" });
}

/** Codes are often pasted with a space in the middle. */
function keepDigits(event: Event): void {
  const input = event.target as HTMLInputElement;
  if ("digits" in input.dataset) input.value = input.value.replace(/\D/g, "");
}
