import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import "./statement.css";

export function Loading() {
  return (
    <main class="centre" aria-busy="true">
      <Spinner />
      <p class="quiet">One moment…</p>
    </main>
  );
}

export function Spinner() {
  return <div class="spinner" aria-hidden="true" />;
}

/** The whole page says one thing. Its headline takes the focus, so that it is read out and the next Tab is its button. */
export function Statement(props: { tone: Tone; headline: string; children?: ComponentChildren; mark?: ComponentChildren }) {
  const headline = useRef<HTMLHeadingElement>(null);
  useEffect(() => headline.current?.focus(), [props.headline]);
  return (
    <main class={`centre statement ${props.tone}`}>
      {props.mark ?? <Mark tone={props.tone} />}
      <h1 ref={headline} tabIndex={-1}>
        {props.headline}
      </h1>
      {props.children}
    </main>
  );
}

export type Tone = "good" | "busy" | "bad" | "plain";

const STROKES: Record<Tone, string> = {
  good: "M14 25l7 7 14-15",
  busy: "M24 13v12l7 5",
  bad: "M24 13v14M24 33v1.5",
  plain: "M15 24h18",
};

function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class="mark" viewBox="0 0 48 48" aria-hidden="true">
      <circle cx="24" cy="24" r="22" />
      <path d={STROKES[tone]} />
    </svg>
  );
}

export function Notice({ children }: { children: ComponentChildren }) {
  return (
    <p class="notice" role="status">
      {children}
    </p>
  );
}
