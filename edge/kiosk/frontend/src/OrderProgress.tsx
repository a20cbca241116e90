import { useEffect } from "preact/hooks";
import type { Catalogue, Order, Vend } from "./api";
import { amount } from "./money";
import { Loading, Notice, Spinner, Statement, type Tone } from "./parts";
import { isOver, type Purchase } from "./purchase";
import { moneyText, vendText } from "./words";

const BACK_AFTER_SUCCESS_MS = 12_000;
const BACK_AFTER_FAILURE_MS = 40_000;

interface Props {
  order: Order | null;
  connected: boolean;
  catalogue: Catalogue | null;
  purchase: Purchase;
}

/** From the placed order to its end. */
export function OrderProgress({ order, connected, catalogue, purchase }: Props) {
  return (
    <>
      {!connected && <Notice>Looking for the machine… your order is safe.</Notice>}
      {!order ? (
        <Loading />
      ) : isOver(order) ? (
        <Ended order={order} purchase={purchase} />
      ) : order.state === "placed" && order.due_minor > 0 ? (
        <InsertCoins order={order} credit={catalogue?.credit_minor ?? 0} purchase={purchase} />
      ) : (
        <Dispensing order={order} />
      )}
    </>
  );
}

function InsertCoins({ order, credit, purchase }: { order: Order; credit: number; purchase: Purchase }) {
  return (
    <Statement tone="busy" headline="Please insert" mark={<Coins />}>
      <p class="figure" role="status">
        {amount(order.due_minor, order.currency)}
      </p>
      <p class="quiet">
        {products(order)} · {amount(order.total_minor, order.currency)}
        {credit > 0 && ` · credit ${amount(credit, order.currency)}`}
      </p>
      <div class="actions">
        <button onClick={purchase.cancel} disabled={purchase.cancelling}>
          {purchase.cancelling ? "Cancelling…" : "Cancel"}
        </button>
      </div>
    </Statement>
  );
}

function Dispensing({ order }: { order: Order }) {
  const first = order.vends.every((vend) => vend.state === "waiting");
  return (
    <Statement tone="busy" headline={first ? "One moment…" : "Here it comes"} mark={<Spinner />}>
      <Vends order={order} />
    </Statement>
  );
}

function Ended({ order, purchase }: { order: Order; purchase: Purchase }) {
  const { leave } = purchase;
  const { tone, headline, advice } = ending(order, purchase.cancelling);
  const money = moneyText(order);
  useEffect(() => {
    const timer = setTimeout(leave, tone === "good" ? BACK_AFTER_SUCCESS_MS : BACK_AFTER_FAILURE_MS);
    return () => clearTimeout(timer);
  }, [tone]);
  return (
    <Statement tone={tone} headline={headline}>
      {advice && <p>{advice}</p>}
      {money && <p class="money">{money}</p>}
      {order.state === "settled" && (order.vends.length > 1 || tone === "bad") && <Vends order={order} />}
      <div class="actions">
        <button class="main" onClick={leave}>
          {tone === "good" ? "Done" : "Choose again"}
        </button>
      </div>
    </Statement>
  );
}

function ending(order: Order, cancelled: boolean): { tone: Tone; headline: string; advice: string | null } {
  if (order.state === "cancelled") {
    const advice = cancelled ? null : "It was not paid yet. Cancel ends such an order, and so does another one at this machine.";
    return { tone: "plain", headline: "Order cancelled", advice };
  }
  if (order.state === "expired") return { tone: "plain", headline: "Time ran out", advice: "The order was not paid in time." };
  const out = order.vends.filter((vend) => vend.outcome === "dispensed").length;
  if (out === order.vends.length) {
    return { tone: "good", headline: out > 1 ? "Take your products" : "Take your product", advice: "Thank you!" };
  }
  if (out > 0) {
    const headline = `${out} of ${order.vends.length} came out`;
    return { tone: "bad", headline, advice: "Please take what is there. We are sorry about the rest." };
  }
  return { tone: "bad", headline: "Sorry, nothing came out", advice: "Please choose something else." };
}

function Vends({ order }: { order: Order }) {
  return (
    <ol class="vends" aria-live="polite">
      {order.vends.map((vend) => (
        <li key={vend.vend_id} class={progress(vend)}>
          <span class="code">{vend.slot}</span>
          <span class="name">{vend.product_name}</span>
          <span class="state">{vendText(vend)}</span>
        </li>
      ))}
    </ol>
  );
}

function progress(vend: Vend): string {
  if (vend.outcome === null) return vend.state === "started" || vend.state === "requested" ? "moving" : "waiting";
  return vend.outcome === "dispensed" ? "out" : "failed";
}

function products(order: Order): string {
  const names = new Map<string, number>();
  for (const vend of order.vends) names.set(vend.product_name, (names.get(vend.product_name) ?? 0) + 1);
  return [...names].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", ");
}

function Coins() {
  return (
    <svg class="mark coins" viewBox="0 0 48 48" aria-hidden="true">
      <circle class="coin" cx="24" cy="12" r="7" />
      <path d="M8 30h32v12H8zM18 36h12" />
    </svg>
  );
}
