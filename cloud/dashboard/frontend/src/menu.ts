/** Makes menus, as the ARIA Authoring Practices have them, of buttons whose popover holds links and buttons. */
export function makeMenus(root: ParentNode): void {
  for (const button of root.querySelectorAll<HTMLButtonElement>("[data-menu]")) {
    const menu = button.popoverTargetElement as HTMLElement | null;
    if (menu) makeMenu(button, menu);
  }
}

function makeMenu(button: HTMLButtonElement, menu: HTMLElement): void {
  const items = [...menu.querySelectorAll<HTMLElement>(".item")];
  button.setAttribute("aria-haspopup", "menu");
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-labelledby", button.id);
  for (const form of menu.querySelectorAll("form:not([role])")) form.setAttribute("role", "none");
  for (const item of items) dress(item);

  const focus = (index: number): void => items.at(index % items.length)?.focus();
  button.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    menu.showPopover({ source: button });
    focus(event.key === "ArrowDown" ? 0 : -1);
  });
  menu.addEventListener("toggle", (event) => {
    if ((event as ToggleEvent).newState === "open" && !menu.contains(document.activeElement)) focus(0);
  });
  menu.addEventListener("keydown", (event) => {
    const now = items.indexOf(document.activeElement as HTMLElement);
    if (event.key === "ArrowDown") focus(now + 1);
    else if (event.key === "ArrowUp") focus(now - 1);
    else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(-1);
    else if (event.key === "Tab") return menu.hidePopover();
    else if (/^\S$/u.test(event.key)) items[beginning(items, event.key, now)]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  menu.addEventListener("click", (event) => {
    if ((event.target as Element).closest(".item")) menu.hidePopover();
  });
}

function dress(item: HTMLElement): void {
  item.tabIndex = -1;
  if (item.classList.contains("choice")) {
    item.setAttribute("role", "menuitemradio");
    item.setAttribute("aria-checked", String(item.getAttribute("aria-current") === "true"));
    item.removeAttribute("aria-current");
  } else {
    item.setAttribute("role", "menuitem");
  }
}

/** The next item after `now` whose label begins with the letter, -1 for none. */
function beginning(items: HTMLElement[], letter: string, now: number): number {
  const labels = items.map((item) => (item.textContent ?? "").trim().toLowerCase());
  const found = [...labels.keys()].filter((index) => labels[index]?.startsWith(letter.toLowerCase()));
  return found.find((index) => index > now) ?? found[0] ?? -1;
}
