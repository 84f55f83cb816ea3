import { z } from 'zod';

/**
 * By which periods the file that a job's processes were given last was made. A new file reaches them at different moments; two files in a row understand each other only if each holds what the other one
 * signs with. After an absence of more than a period they would not, so the file is then turned in two steps: the first makes the new keys known, the second signs with them.
 */
const HeldKeys = z.strictObject({
  /** Whose key signs. */
  period: z.int(),
  /** Made known by this file: will sign with the next one. */
  announced: z.int().optional(),
  /** What signed in the file that announced this period. */
  before: z.int().optional(),
  /** When the file was made. */
  atMs: z.int(),
});
export type HeldKeys = z.infer<typeof HeldKeys>;

/** A kubelet takes two minutes at the most to bring a file, and a process ten seconds to read it. */
const arrivedAfterMs = 180_000;

/** What the next file is made by; `held` again when it is time for no other. No more than two files are on their way at once. Pure. */
export function turnKeys(
  held: HeldKeys | undefined,
  { nowMs, periodMs }: { readonly nowMs: number; readonly periodMs: number },
): HeldKeys {
  const now = Math.floor(nowMs / periodMs);
  if (held === undefined) {
    return { period: now, atMs: nowMs };
  }
  const { period, announced, atMs } = held;
  if ((period === now && announced === undefined) || Math.abs(nowMs - atMs) < arrivedAfterMs) {
    return held;
  }
  if (!around(announced ?? period).includes(now)) {
    return { period, announced: now, atMs: nowMs };
  }
  return announced === undefined ? { period: now, atMs: nowMs } : { period: now, before: period, atMs: nowMs };
}

/** Which keys the file holds, the one that signs first. */
export function periodsOf({ period, announced, before }: Omit<HeldKeys, 'atMs'>): readonly [number, ...number[]] {
  const all = [period, ...around(period), ...(announced === undefined ? [] : around(announced)), before ?? period];
  return [...new Set(all)] as [number, ...number[]];
}

function around(period: number): readonly number[] {
  return [period, period - 1, period + 1];
}

/** Undefined when somebody wrote something else there: then it is as if nothing was written. */
export function parseHeldKeys(text: string): HeldKeys | undefined {
  try {
    return HeldKeys.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
