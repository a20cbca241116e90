const KEPT = "larder-shortcuts";
const PATIENCE_MS = 1_500;

/** `/`, `?`, and `g` before the letter of a page: the navigation says which. They can be switched off in their list. */
export function watchShortcuts(): void {
  let isLed = false;
  let timer = 0;
  const box = document.querySelector<HTMLInputElement>("#shortcuts-on");
  if (box) {
    box.checked = localStorage.getItem(KEPT) !== "off";
    box.addEventListener("change", () => localStorage.setItem(KEPT, box.checked ? "on" : "off"));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTaken(event.target as Element)) return;
    const wasLed = isLed;
    isLed = false;
    clearTimeout(timer);
    if (localStorage.getItem(KEPT) === "off") return;
    if (wasLed) {
      document.querySelector<HTMLAnchorElement>(`#navigation a[data-key="${CSS.escape(event.key)}"]`)?.click();
    } else if (event.key === "g") {
      isLed = true;
      timer = window.setTimeout(() => (isLed = false), PATIENCE_MS);
    } else if (event.key === "/") {
      const field = document.querySelector<HTMLInputElement>("[data-slash]");
      if (!field) return;
      event.preventDefault();
      field.select();
    } else if (event.key === "?") {
      document.querySelector<HTMLDialogElement>("#shortcuts")?.showModal();
    }
  });
}

/** Whether keys have another meaning there. */
function isTaken(place: Element): boolean {
  const typing = place.closest("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])");
  return typing !== null || document.querySelector("dialog:modal, .menu:popover-open") !== null;
}
