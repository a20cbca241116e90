/** For browsers that do not know `command` on buttons yet. The rest of a dialog is the browser's own. */
export function openDialogs(): void {
  if ("commandForElement" in HTMLButtonElement.prototype) return;
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[commandfor]");
    const dialog = document.getElementById(button?.getAttribute("commandfor") ?? "");
    if (!button || !(dialog instanceof HTMLDialogElement)) return;
    if (button.getAttribute("command") === "close") dialog.close();
    else dialog.showModal();
  });
}
