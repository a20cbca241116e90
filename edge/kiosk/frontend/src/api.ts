/** The kiosk's HTTP API, as `shared/catalog.py`, `shared/orders.py` and `shared/errors.py` define it. */

export type Rail = "free" | "cash";

export interface MachineSummary {
  machine_id: string;
  name: string;
  rail: Rail;
  currency: string;
  online: boolean;
}

export interface Slot {
  slot: string;
  product_id: string;
  name: string;
  price_minor: number;
  available: number;
  state: "ok" | "sold_out" | "suspect" | "locked" | "offline";
}

export interface Catalogue {
  machine_id: string;
  name: string;
  rail: Rail;
  currency: string;
  in_service: boolean;
  planogram_version: number;
  credit_minor: number;
  slots: Slot[];
}

export interface Vend {
  vend_id: string;
  slot: string;
  product_name: string;
  price_minor: number;
  state: "waiting" | "requested" | "started" | "done";
  outcome: null | "dispensed" | "not_started" | "no_drop" | "cancelled" | "ambiguous";
}

export interface Order {
  order_id: string;
  machine_id: string;
  state: "placed" | "authorised" | "dispensing" | "settled" | "cancelled" | "expired";
  rail: Rail;
  currency: string;
  total_minor: number;
  due_minor: number;
  given_back_minor: number;
  vends: Vend[];
}

export interface PlaceOrder {
  machine_id: string;
  planogram_version: number;
  lines: { slot: string; quantity: number }[];
}

/** The gateway understood and refused (RFC 9457). Asking again without a change will not help. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** No answer, or one that promises a better one later. The same request may be sent again. */
export class Unreachable extends Error {}

const PREFIX = "/kiosk/v1";
const TIMEOUT_MS = 8_000;
/** Problems of the moment; every other code says that this order, as it stands, cannot be had. */
const LATER = new Set(["internal", "timeout", "too_many_requests", "unavailable"]);

export const machineUrl = (machineId: string): string => `${PREFIX}/machines/${encodeURIComponent(machineId)}`;
export const orderUrl = (orderId: string): string => `${PREFIX}/orders/${encodeURIComponent(orderId)}`;

export async function listMachines(): Promise<MachineSummary[]> {
  return (await ask<{ machines: MachineSummary[] }>(`${PREFIX}/machines`)).machines;
}

/** Safe to repeat with the same key: the gateway answers with the order it made the first time. */
export function placeOrder(body: PlaceOrder, key: string): Promise<Order> {
  return ask<Order>(`${PREFIX}/orders`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify(body),
  });
}

export function cancelOrder(orderId: string): Promise<Order> {
  return ask<Order>(`${orderUrl(orderId)}/cancel`, { method: "POST" });
}

/** @throws Refusal | Unreachable */
export async function ask<T>(url: string, options: RequestInit = {}): Promise<T> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    body = await response.json();
  } catch (error) {
    throw new Unreachable(String(error));
  }
  if (response.ok) return body as T;
  const { code = "unavailable", detail = "" } = body as { code?: string; detail?: string };
  throw LATER.has(code) ? new Unreachable(detail) : new Refusal(code, detail);
}
