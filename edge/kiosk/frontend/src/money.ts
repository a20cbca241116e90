/** `amount(2050, "INR")` is "₹20.50", `amount(2000, "INR")` is "₹20": minor units, as many as the currency has. */
export function amount(minor: number, currency: string): string {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency, trailingZeroDisplay: "stripIfInteger" });
  const digits = new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  return format.format(minor / 10 ** (digits ?? 2));
}

export function price(minor: number, currency: string): string {
  return minor === 0 ? "Free" : amount(minor, currency);
}
