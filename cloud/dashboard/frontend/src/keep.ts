/**
 * What stands in a form with `data-keep` and is not saved yet outlives a reload and a browser that is killed. Passwords do
 * not, shown or hidden. It is forgotten with what it was typed over (`seen`), after a week, when its person signs out here, and
 * when another one has signed in.
 */
const PREFIX = "larder-kept:";
const LONGEST_MS = 7 * 24 * 3600 * 1000;

type Kept = { person: string; seen: string; at: number; values: Record<string, string | boolean> };
type Field = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

export function keepForms(): void {
  const person = document.querySelector<HTMLElement>("[data-person]")?.dataset["person"];
  forgetOld();
  if (person) forget((key) => read(key)?.person !== person);
  document.addEventListener("submit", (event) => {
    if ((event.target as HTMLFormElement).getAttribute("action") === "/logout") forget(() => true);
  });
  const form = document.querySelector<HTMLFormElement>("form[data-keep]");
  if (!form || !person) return;
  const key = PREFIX + location.pathname;
  restore(form, key);
  form.querySelector("[data-forget]")?.addEventListener("click", () => localStorage.removeItem(key));
  form.addEventListener("input", () => store(key, { person, seen: seenOf(form), at: Date.now(), values: valuesOf(form) }));
}

function restore(form: HTMLFormElement, key: string): void {
  const kept = read(key);
  if (kept?.seen !== seenOf(form)) return localStorage.removeItem(key);
  let isOther = false;
  for (const field of fieldsOf(form)) {
    const value = kept.values[field.name];
    if (value === undefined || value === valueOf(field)) continue;
    isOther = true;
    if (field instanceof HTMLInputElement && typeof value === "boolean") field.checked = value;
    else field.value = String(value);
  }
  const told = form.querySelector<HTMLElement>("[data-kept]");
  if (told && isOther) told.hidden = false;
}

function fieldsOf(form: HTMLFormElement): Field[] {
  const fields = form.querySelectorAll<Field>("input:not([type=hidden], [type=password]), select, textarea");
  return [...fields].filter((field) => field.name && !isPassword(field));
}

/** A password stays one while it is shown. */
function isPassword(field: Field): boolean {
  return !!field.parentElement?.querySelector("[data-show]");
}

function valueOf(field: Field): string | boolean {
  return field instanceof HTMLInputElement && field.type === "checkbox" ? field.checked : field.value;
}

function valuesOf(form: HTMLFormElement): Kept["values"] {
  return Object.fromEntries(fieldsOf(form).map((field) => [field.name, valueOf(field)]));
}

function seenOf(form: HTMLFormElement): string {
  return form.querySelector<HTMLInputElement>("[name=seen]")?.value ?? "";
}

function read(key: string): Kept | undefined {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "") as Kept;
  } catch {
    return undefined;
  }
}

/** A browser that lets nothing be stored, or has no room, loses what is not saved: as without this. */
function store(key: string, kept: Kept): void {
  try {
    localStorage.setItem(key, JSON.stringify(kept));
  } catch {
    return;
  }
}

function forgetOld(): void {
  forget((key) => Date.now() - (read(key)?.at ?? 0) > LONGEST_MS);
}

function forget(which: (key: string) => boolean): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX) && which(key)) localStorage.removeItem(key);
}
