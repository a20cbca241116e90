import { useEffect, useState } from "preact/hooks";
import type { Catalogue, PlaceOrder, Refusal, Slot } from "./api";
import { amount, price } from "./money";
import { Notice } from "./parts";
import { refusalText, slotText } from "./words";
import "./choice.css";

const MOST_OF_ONE = 10;
const MOST_LINES = 20;
/** A customer who walked away should not leave a choice behind for the next one. */
const FORGET_AFTER_MS = 90_000;

interface Props {
  catalogue: Catalogue;
  refusal: Refusal | null;
  place(body: PlaceOrder): void;
}

/** The catalogue as a grid, and the chosen products in a bar below it. */
export function Choice({ catalogue, refusal, place }: Props) {
  const [wished, setWished] = useState<ReadonlyMap<string, number>>(new Map());
  useEffect(() => {
    const timer = setTimeout(() => setWished(new Map()), FORGET_AFTER_MS);
    return () => clearTimeout(timer);
  }, [wished]);

  // Stock can shrink under a choice: what counts is what can still be had.
  const chosen = catalogue.slots
    .map((slot) => ({ slot, quantity: Math.min(wished.get(slot.slot) ?? 0, most(slot)) }))
    .filter(({ quantity }) => quantity > 0);
  const set = (slot: Slot, quantity: number): void => setWished(new Map(wished).set(slot.slot, quantity));
  const order = (): void =>
    place({
      machine_id: catalogue.machine_id,
      planogram_version: catalogue.planogram_version,
      lines: chosen.map(({ slot, quantity }) => ({ slot: slot.slot, quantity })),
    });

  return (
    <div class="choice">
      <header>
        <h1>{catalogue.name}</h1>
        {catalogue.rail === "cash" && <p class="credit">Credit {amount(catalogue.credit_minor, catalogue.currency)}</p>}
      </header>
      {refusal && <Notice>{refusalText(refusal)}</Notice>}
      <main>
        <ul class="grid">
          {catalogue.slots.map((slot) => (
            <Product
              key={slot.slot}
              slot={slot}
              currency={catalogue.currency}
              quantity={chosen.find((line) => line.slot === slot)?.quantity ?? 0}
              full={chosen.length >= MOST_LINES}
              set={(quantity) => set(slot, quantity)}
            />
          ))}
        </ul>
        {catalogue.slots.length === 0 && <p class="quiet empty">Nothing is on sale here yet.</p>}
      </main>
      {chosen.length > 0 && <Basket catalogue={catalogue} chosen={chosen} order={order} clear={() => setWished(new Map())} />}
    </div>
  );
}

const most = (slot: Slot): number => (slot.state === "ok" ? Math.min(slot.available, MOST_OF_ONE) : 0);

interface ProductProps {
  slot: Slot;
  currency: string;
  quantity: number;
  full: boolean;
  set(quantity: number): void;
}

function Product({ slot, currency, quantity, full, set }: ProductProps) {
  const blocked = slotText(slot);
  return (
    <li class={quantity > 0 ? "product chosen" : "product"}>
      <button
        class="pick"
        disabled={blocked !== null || (full && quantity === 0)}
        aria-pressed={quantity > 0}
        onClick={() => set(quantity > 0 ? 0 : 1)}
      >
        <span class={`picture tint-${tint(slot.product_id)}`} aria-hidden="true">
          {monogram(slot.name)}
        </span>
        <span class="name">{slot.name}</span>
        <span class="line">
          <span class="price">{blocked ?? price(slot.price_minor, currency)}</span>
          <span class="code">{slot.slot}</span>
        </span>
      </button>
      {quantity > 0 && (
        <div class="stepper" role="group" aria-label={`How many ${slot.name}`}>
          <button aria-label={`One less ${slot.name}`} onClick={() => set(quantity - 1)}>
            −
          </button>
          <output>{quantity}</output>
          <button aria-label={`One more ${slot.name}`} disabled={quantity >= most(slot)} onClick={() => set(quantity + 1)}>
            +
          </button>
        </div>
      )}
    </li>
  );
}

interface BasketProps {
  catalogue: Catalogue;
  chosen: { slot: Slot; quantity: number }[];
  order(): void;
  clear(): void;
}

function Basket({ catalogue, chosen, order, clear }: BasketProps) {
  const total = chosen.reduce((sum, { slot, quantity }) => sum + slot.price_minor * quantity, 0);
  const missing = total - catalogue.credit_minor;
  const cash = catalogue.rail === "cash" && total > 0;
  return (
    <footer class="basket" aria-label="Your choice">
      <p class="what">
        {chosen.map(({ slot, quantity }) => (quantity > 1 ? `${quantity} × ${slot.name}` : slot.name)).join(", ")}
        {cash && missing > 0 && <span class="quiet"> · then insert {amount(missing, catalogue.currency)}</span>}
      </p>
      <div class="actions">
        <button onClick={clear}>Clear</button>
        <button class="main" onClick={order}>
          {cash ? `Buy for ${amount(total, catalogue.currency)}` : "Take it for free"}
        </button>
      </div>
    </footer>
  );
}

function monogram(name: string): string {
  const words = name.split(/\s+/).filter((word) => /^\p{L}/u.test(word));
  const letters = words.length > 1 ? words.slice(0, 2).map((word) => word[0]) : [...(words[0] ?? name)].slice(0, 2);
  return letters.join("").toUpperCase();
}

/** One of six colours, always the same for a product. */
const tint = (productId: string): number => [...productId].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 6;
