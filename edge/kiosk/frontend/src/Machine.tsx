import { useEffect, useState } from "preact/hooks";
import { type Catalogue, machineUrl, type Refusal } from "./api";
import { Choice } from "./Choice";
import { follow } from "./live";
import { OrderProgress } from "./OrderProgress";
import { Loading, Notice, Spinner, Statement } from "./parts";
import { usePurchase } from "./purchase";

/** One machine: choose, place, watch. A purchase under way is shown before anything else. */
export function Machine({ machineId }: { machineId: string }) {
  const { catalogue, connected, gone } = useCatalogue(machineId);
  const purchase = usePurchase(machineId);
  const { stage } = purchase;

  if (stage.at === "following") return <OrderProgress {...stage} catalogue={catalogue} purchase={purchase} />;
  if (stage.at === "placing") {
    return (
      <Statement tone="busy" headline={stage.unreachable ? "Still trying…" : "Sending your order…"} mark={<Spinner />}>
        {stage.unreachable && <p>The machine does not answer at the moment. Your order is kept and sent once only.</p>}
      </Statement>
    );
  }
  if (stage.at === "stuck") {
    return (
      <Statement tone="bad" headline="The machine does not answer">
        <p>We do not know whether your order arrived. Trying again cannot order twice.</p>
        <div class="actions">
          <button class="main" onClick={purchase.tryAgain}>
            Try again
          </button>
          <button onClick={purchase.leave}>Give up</button>
        </div>
      </Statement>
    );
  }
  if (gone) return <Statement tone="plain" headline="There is no such machine here" />;
  if (!catalogue) return <Loading />;
  if (!catalogue.in_service) {
    return (
      <Statement tone="plain" headline="Out of service">
        <p>{catalogue.name} is resting. Please come back later.</p>
      </Statement>
    );
  }
  return (
    <>
      {!connected && <Notice>Looking for the machine… prices and stock may be old.</Notice>}
      <Choice catalogue={catalogue} refusal={stage.refusal} place={purchase.place} />
    </>
  );
}

function useCatalogue(machineId: string): { catalogue: Catalogue | null; connected: boolean; gone: Refusal | null } {
  const [catalogue, setCatalogue] = useState<Catalogue | null>(null);
  const [connected, setConnected] = useState(true);
  const [gone, setGone] = useState<Refusal | null>(null);
  useEffect(() => {
    const machine = machineUrl(machineId);
    const follower = { value: setCatalogue, connected: setConnected, gone: setGone };
    return follow<Catalogue>(`${machine}/events`, `${machine}/catalogue`, "catalogue", follower);
  }, [machineId]);
  return { catalogue, connected, gone };
}
