import "./ground.css";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { listMachines, type MachineSummary } from "./api";
import { backoff } from "./backoff";
import { Machine } from "./Machine";
import { MachinePicker } from "./MachinePicker";
import { Loading } from "./parts";

const machineInAddress = (): string | null => /^\/machines\/([^/]+)\/?$/.exec(location.pathname)?.[1] ?? null;

/** `/machines/{id}` is one machine's page; `/` asks which, unless there is only one. */
function Kiosk() {
  const [machineId, setMachineId] = useState(machineInAddress);
  const [machines, setMachines] = useState<MachineSummary[] | null>(null);

  useEffect(() => {
    const back = (): void => setMachineId(machineInAddress());
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);

  useEffect(() => {
    let stopped = false;
    const pause = backoff();
    const load = async (): Promise<void> => {
      while (!stopped && machineId === null) {
        try {
          const found = await listMachines();
          if (!stopped) setMachines(found);
          const [only, ...others] = found;
          if (only && others.length === 0) setMachineId(only.machine_id);
          return;
        } catch {
          await pause.wait();
        }
      }
    };
    void load();
    return () => {
      stopped = true;
    };
  }, [machineId]);

  const choose = (id: string): void => {
    history.pushState(null, "", `/machines/${id}`);
    setMachineId(id);
  };

  if (machineId !== null) return <Machine key={machineId} machineId={machineId} />;
  if (machines === null) return <Loading />;
  return <MachinePicker machines={machines} choose={choose} />;
}

const page = document.getElementById("page");
if (page) render(<Kiosk />, page);
