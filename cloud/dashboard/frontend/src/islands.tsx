import { type ComponentType, render } from "preact";
import { Progress } from "./Progress";

/** What `data-island` names. Its props come as JSON in `data-props`; what the server drew stands until then. */
const ISLANDS: Record<string, ComponentType<never>> = { progress: Progress };

export function mountIslands(root: ParentNode): void {
  for (const place of root.querySelectorAll<HTMLElement>("[data-island]")) {
    const Island = ISLANDS[place.dataset["island"] ?? ""] as ComponentType<object> | undefined;
    if (!Island) continue;
    place.replaceChildren();
    render(<Island {...JSON.parse(place.dataset["props"] ?? "{}")} />, place);
  }
}
