const FIRST_MS = 500;
const LAST_MS = 8_000;

export interface Backoff {
  /** Waits longer from time to time, with jitter so that many kiosks do not come back in step. */
  wait(): Promise<void>;
  reset(): void;
}

export function backoff(): Backoff {
  let next = FIRST_MS;
  return {
    async wait() {
      const delay = next * (0.5 + Math.random() / 2);
      next = Math.min(next * 2, LAST_MS);
      await new Promise((resolve) => setTimeout(resolve, delay));
    },
    reset() {
      next = FIRST_MS;
    },
  };
}
