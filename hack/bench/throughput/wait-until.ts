import { setTimeout as delay } from 'node:timers/promises';

/** Looks every `intervalMs` until `look` gives something; an error of `look` ends the wait. */
export async function waitUntil<T>(options: {
  /** For people: what did not happen in time. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly look: () => Promise<T | undefined>;
}): Promise<T> {
  const { what, timeoutMs, intervalMs, signal, look } = options;
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) {
      return found;
    }
    if (performance.now() > endMs) {
      throw new Error(`${what} did not happen within ${timeoutMs / 1000} seconds`);
    }
    await delay(intervalMs, undefined, { signal });
  }
}

/** Resolves to undefined for an error that says that nobody listens (yet). */
export async function orNotListening<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    if (code === 'ECONNREFUSED' || code === 'ECONNRESET') {
      return undefined;
    }
    throw error;
  }
}
