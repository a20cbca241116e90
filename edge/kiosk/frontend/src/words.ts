/** What the page says about the gateway's words. */

import type { Order, Refusal, Slot, Vend } from "./api";
import { amount } from "./money";

/** Why a slot cannot be chosen, or null if it can. */
export function slotText(slot: Slot): string | null {
  if (slot.state === "ok") return slot.available > 0 ? null : "Sold out";
  return { sold_out: "Sold out", suspect: "Out of service", locked: "Was too warm", offline: "Not available now" }[slot.state];
}

const REFUSALS: Record<string, string> = {
  sold_out: "Somebody was faster: that is sold out now. Please choose again.",
  slot_locked: "That one was too warm and is not sold. Please choose something else.",
  slot_suspect: "That one is out of service. Please choose something else.",
  price_changed: "The prices have just changed. Please look again.",
  machine_offline: "The machine cannot dispense right now. Nothing was taken. Please try again in a moment.",
  out_of_service: "The machine is out of service. Nothing was taken.",
  storage_full: "The machine takes no new orders right now. Nothing was taken.",
  unknown_slot: "That product is no longer here. Please choose again.",
  unknown_order: "That order is not known here any more.",
};

export const refusalText = (refusal: Refusal): string =>
  REFUSALS[refusal.code] ?? (refusal.message || "That did not work. Please choose again.");

export function vendText(vend: Vend): string {
  if (vend.outcome !== null) {
    return {
      dispensed: "Take it",
      not_started: "Did not come out",
      no_drop: "Did not come out",
      cancelled: "Cancelled",
      ambiguous: "Not sure it came out",
    }[vend.outcome];
  }
  return { waiting: "Next", requested: "Getting ready", started: "On its way", done: "Checking" }[vend.state];
}

/** Where the customer's money is once an order is over; null where money never was the matter. */
export function moneyText(order: Order): string | null {
  if (order.rail === "free" || order.total_minor === 0) return null;
  if (order.given_back_minor > 0) return `Your money is back as credit: ${amount(order.given_back_minor, order.currency)}`;
  return order.vends.some((vend) => vend.outcome === "dispensed") ? null : "Nothing was taken from your credit.";
}
