import type { LineageEntry } from './entries.ts';

/** How one put of an entry ended, as the storage reported it. */
type PutOutcome =
  | 'Created'
  | 'Occupied'
  /** A time-out or a broken connection: the bytes may be there, or come later. */
  | 'Unknown'
  | 'NotApplied';

/**
 * What follows from a put (rule 1). `Verify`: look whether a higher number exists, then it is appended. `ReadBack`: read who is there.
 * `PutAgain`: the same bytes at the same number, and nothing else before that is settled. `Fail`: surely not appended. `Appended`
 * leaves out the look at the head; no right rule returns it.
 */
export type AfterPut = 'Verify' | 'ReadBack' | 'PutAgain' | 'Fail' | 'Appended';

export interface PutFacts {
  readonly outcome: PutOutcome;
  /** Some put of these bytes at this number, this one or an earlier one, ended with `Unknown`. */
  readonly everUnknown: boolean;
  /** The storage says that the same call may succeed later. */
  readonly retryable: boolean;
  /** Puts of these bytes at this number so far. */
  readonly tries: number;
}

/** Tries of a put that surely had no effect; then the caller decides whether to try at all. */
export const refusedPutTriesMax = 3;

export function afterPut(facts: PutFacts): AfterPut {
  switch (facts.outcome) {
    case 'Created':
      return 'Verify';
    case 'Occupied':
      return 'ReadBack';
    case 'Unknown':
      return 'PutAgain';
    case 'NotApplied':
      // An earlier try may still land, so that giving up now would be giving up on something that may yet happen.
      return facts.everUnknown || (facts.retryable && facts.tries < refusedPutTriesMax) ? 'PutAgain' : 'Fail';
  }
}

/**
 * What the entry at my number means for me (rules 1 and 2). `Mine`: an earlier try of this very append. `Fenced`: I stop. `Apply`: the
 * log has grown; my append goes to the next number.
 */
export type Collision = 'Mine' | 'Fenced' | 'Apply' | 'Fail';

/** `epoch`: what I opened with; undefined while I am only about to open. */
export function classifyCollision(
  found: LineageEntry,
  mine: { readonly nonce: string; readonly epoch: number | undefined },
): Collision {
  if (found.nonce === mine.nonce) {
    return 'Mine';
  }
  return mine.epoch !== undefined && fences(found, mine.epoch) ? 'Fenced' : 'Apply';
}

/**
 * Rule 2: only an `Opened` with a higher epoch ends a JobManager. `Purged` stands for the `Opened` of its purge, which goes with everything
 * before it.
 */
export function fences(entry: LineageEntry, epoch: number): boolean {
  return (entry.type === 'Opened' || entry.type === 'Purged') && entry.epoch > epoch;
}
