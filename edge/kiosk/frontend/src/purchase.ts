/** One customer's purchase: kept in the browser's session, so that no reload and no broken connection loses it. */

import { useEffect, useState } from "preact/hooks";
import { cancelOrder, type Order, orderUrl, type PlaceOrder, placeOrder, Refusal } from "./api";
import { backoff } from "./backoff";
import { follow } from "./live";

export type Stage =
  | { at: "choosing"; refusal: Refusal | null }
  | { at: "placing"; unreachable: boolean }
  | { at: "stuck" }
  | { at: "following"; order: Order | null; connected: boolean };

interface Kept {
  key: string;
  body: PlaceOrder;
  /** Until then the request is repeated without asking: later the customer may have left, and nobody would take the product. */
  repeat_until_ms: number;
  order_id: string | null;
}

export interface Purchase {
  stage: Stage;
  place(body: PlaceOrder): void;
  /** Ask for the same order once more, for another minute. */
  tryAgain(): void;
  /** Ask for the order to be cancelled. What becomes of it is told by its events. */
  cancel(): void;
  /** Whether the customer has asked for that, and was not refused. */
  cancelling: boolean;
  /** Forget the order and choose anew. */
  leave(): void;
}

const REPEAT_MS = 60_000;
const TERMINAL = new Set<Order["state"]>(["settled", "cancelled", "expired"]);
const CHOOSING: Stage = { at: "choosing", refusal: null };

export const isOver = (order: Order): boolean => TERMINAL.has(order.state);

export function usePurchase(machineId: string): Purchase {
  const storage = `larder.purchase.${machineId}`;
  const [kept, setKept] = useState<Kept | null>(() => JSON.parse(sessionStorage.getItem(storage) ?? "null") as Kept | null);
  const [stage, setStage] = useState<Stage>(() => stageOf(kept));
  const [cancelling, setCancelling] = useState(false);

  const keep = (next: Kept | null): void => {
    if (next) sessionStorage.setItem(storage, JSON.stringify(next));
    else sessionStorage.removeItem(storage);
    setKept(next);
  };
  const leave = (refusal: Refusal | null = null): void => {
    keep(null);
    setStage({ at: "choosing", refusal });
  };
  const start = (key: string, body: PlaceOrder): void => {
    keep({ key, body, repeat_until_ms: Date.now() + REPEAT_MS, order_id: null });
    setStage({ at: "placing", unreachable: false });
    setCancelling(false);
  };

  useEffect(() => {
    if (stage.at !== "placing" || !kept) return undefined;
    return placeUntilAnswered(kept, {
      placed: (order) => {
        keep({ ...kept, order_id: order.order_id });
        setStage({ at: "following", order, connected: true });
      },
      unreachable: () => setStage({ at: "placing", unreachable: true }),
      refused: leave,
      stuck: () => setStage({ at: "stuck" }),
    });
  }, [stage.at, kept?.key, kept?.repeat_until_ms]);

  useEffect(() => {
    if (stage.at !== "following" || !kept?.order_id) return undefined;
    const stop = follow<Order>(`${orderUrl(kept.order_id)}/events`, orderUrl(kept.order_id), "order", {
      value: (order) => {
        setStage({ at: "following", order, connected: true });
        if (isOver(order)) stop();
      },
      connected: (connected) => setStage((now) => (now.at === "following" ? { ...now, connected } : now)),
      gone: leave,
    });
    return stop;
  }, [stage.at, kept?.order_id]);

  return {
    stage,
    place: (body) => start(newKey(), body),
    tryAgain: () => kept && start(kept.key, kept.body),
    cancel: () => {
      if (!kept?.order_id) return;
      setCancelling(true);
      cancelOrder(kept.order_id).catch(() => setCancelling(false));
    },
    cancelling,
    leave: () => leave(),
  };
}

function stageOf(kept: Kept | null): Stage {
  if (!kept) return CHOOSING;
  if (kept.order_id) return { at: "following", order: null, connected: true };
  return Date.now() < kept.repeat_until_ms ? { at: "placing", unreachable: false } : { at: "stuck" };
}

interface Answers {
  placed(order: Order): void;
  unreachable(): void;
  refused(refusal: Refusal): void;
  stuck(): void;
}

/** Sends the same request with the same key until the gateway answers or the time is up. Returns how to stop. */
function placeUntilAnswered(kept: Kept, answers: Answers): () => void {
  let stopped = false;
  const attempt = async (): Promise<void> => {
    const pause = backoff();
    while (!stopped) {
      try {
        const order = await placeOrder(kept.body, kept.key);
        if (!stopped) answers.placed(order);
        return;
      } catch (error) {
        if (stopped) return;
        if (error instanceof Refusal) return answers.refused(error);
        if (Date.now() > kept.repeat_until_ms) return answers.stuck();
        answers.unreachable();
        await pause.wait();
      }
    }
  };
  void attempt();
  return () => {
    stopped = true;
  };
}

/** A random UUID. `crypto.randomUUID` is missing on a page served without TLS, as a kiosk's may be. */
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
