import { toast } from "./toast";

/** A theme is shown at once; the server keeps it for the next page. */
export function watchTheme(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    const chosen = event.submitter as HTMLButtonElement | null;
    if (!("themeForm" in form.dataset) || !chosen) return;
    event.preventDefault();
    document.documentElement.dataset["theme"] = chosen.value;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-checked", String(button === chosen));
    void keep(form.action, new URLSearchParams({ theme: chosen.value }));
  });
}

async function keep(action: string, body: URLSearchParams): Promise<void> {
  try {
    await fetch(action, { method: "POST", body, redirect: "manual", signal: AbortSignal.timeout(10_000) });
  } catch {
    toast("The theme could not be kept for the next page.", "bad");
  }
}
