/** Server-sent events that survive whatever happens to the gateway. */

import { ask, Refusal } from "./api";
import { backoff } from "./backoff";

export interface Follower<T> {
  value(value: T): void;
  /** `false` as soon as the stream breaks, `true` when it stands again. */
  connected(connected: boolean): void;
  /** The gateway says that there is no such thing to follow: nothing will come any more. */
  gone(refusal: Refusal): void;
}

/**
 * Follows `events`; each event called `name` carries the same body as the plain `resource`. Returns how to stop.
 *
 * The browser reconnects a broken stream by itself but gives up for good on an HTTP error, and does not say which: then
 * the plain resource is asked, and unless it is refused the stream is opened again.
 */
export function follow<T>(events: string, resource: string, name: string, follower: Follower<T>): () => void {
  const pause = backoff();
  let source: EventSource;
  let stopped = false;

  const open = (): void => {
    source = new EventSource(events);
    source.addEventListener(name, (event: MessageEvent<string>) => {
      pause.reset();
      follower.connected(true);
      follower.value(JSON.parse(event.data) as T);
    });
    source.onerror = () => {
      follower.connected(false);
      if (source.readyState === EventSource.CLOSED) void reopen();
    };
  };

  const reopen = async (): Promise<void> => {
    await pause.wait();
    const refusal = await ask<T>(resource).then(
      () => null,
      (error: unknown) => (error instanceof Refusal ? error : null),
    );
    if (stopped) return;
    if (refusal) follower.gone(refusal);
    else open();
  };

  open();
  return () => {
    stopped = true;
    source.close();
  };
}
