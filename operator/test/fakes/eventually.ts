import { setTimeout as sleep } from 'node:timers/promises';

/** Looks until the condition holds. The limit is for a hang, not for a slow machine. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAtMs > limitMs) {
      throw new Error(`${what}: not so within ${limitMs} ms`);
    }
    await sleep(5);
  }
}
