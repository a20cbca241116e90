import type { MachineSummary } from "./api";
import "./picker.css";

export function MachinePicker({ machines, choose }: { machines: MachineSummary[]; choose(machineId: string): void }) {
  return (
    <main class="picker">
      <h1>{machines.length > 0 ? "Which machine are you at?" : "No machine is set up here yet"}</h1>
      <ul>
        {machines.map((machine) => (
          <li key={machine.machine_id}>
            <a
              href={`/machines/${machine.machine_id}`}
              onClick={(event) => {
                event.preventDefault();
                choose(machine.machine_id);
              }}
            >
              <span class="name">{machine.name}</span>
              <span class="quiet">{!machine.online ? "Not available now" : machine.rail === "free" ? "Free" : "Cash"}</span>
            </a>
          </li>
        ))}
      </ul>
    </main>
  );
}
