/** The browser's own kind of the page's language: "en-IN" on an English page. */
const language = document.documentElement.lang || "en";
const locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;

const formats = new Map<string, Intl.NumberFormat>();
const precisions: Record<string, Intl.DateTimeFormat> = {
  minute: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
  second: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }),
  time: new Intl.DateTimeFormat(locale, { timeStyle: "medium" }),
};

export function amount(minor: number, currency: string): string {
  let format = formats.get(currency);
  if (!format) formats.set(currency, (format = new Intl.NumberFormat(locale, { style: "currency", currency })));
  return format.format(minor / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** Money and times as people here write them; what the server wrote stays as the title. */
export function localise(root: ParentNode): void {
  for (const data of root.querySelectorAll<HTMLDataElement>("data[data-currency]")) {
    data.textContent = amount(Number(data.value), data.dataset["currency"] ?? "");
  }
  for (const time of root.querySelectorAll<HTMLTimeElement>("time[data-precision]")) {
    time.title ||= time.textContent ?? "";
    time.textContent = precisions[time.dataset["precision"] ?? ""]?.format(new Date(time.dateTime)) ?? time.title;
  }
}
