import type { KeyedStatePart } from '../../src/core/checkpoint/manifest.ts';
import type { KeyGroupRange } from '../../src/core/key-groups/key-group.ts';
import { keyGroupOfKey } from './model-job.ts';

/** What the counter keeps of one key. */
export interface Row {
  readonly count: number;
  /** Pending timers: each is the count at which it was set, and fires when the count is `timerDelay` higher. */
  readonly timers: readonly number[];
}

export const emptyRow: Row = { count: 0, timers: [] };
const timerInterval = 5;
const timerDelay = 3;

export interface CountedRow {
  readonly row: Row;
  /** Ordinals of the timers that fired: 1, 2, 3 … over the life of the key. */
  readonly fired: readonly number[];
}

/** One more record of a key. Every fifth sets a timer. */
export function countRecord({ count: before, timers }: Row): CountedRow {
  const count = before + 1;
  const pending = count % timerInterval === 0 ? [...timers, count] : timers;
  return {
    row: { count, timers: pending.filter((time) => time + timerDelay > count) },
    fired: pending.filter((time) => time + timerDelay <= count).map((time) => time / timerInterval),
  };
}

/** What a key has after so many records when nothing went wrong. */
export function rowAfter(count: number): Row {
  const timers: number[] = [];
  for (let time = timerInterval; time <= count; time += timerInterval) {
    if (time + timerDelay > count) {
      timers.push(time);
    }
  }
  return { count, timers };
}

/** How many timers have fired by then. */
export function firedCountAfter({ count, timers }: Row): number {
  return Math.floor(count / timerInterval) - timers.length;
}

/** The key under which the output has what a key's timers wrote. */
export function timerKeyOf(key: string): string {
  return `${key}/timer`;
}

type EncodedRow = readonly [key: string, count: number, timers: readonly number[]];

/** Content of a file: rows as they were when it was written; rows of later files replace them. */
export function encodeRows(rows: Iterable<readonly [string, Row]>): Uint8Array {
  const encoded = [...rows].map(([key, { count, timers }]): EncodedRow => [key, count, timers]);
  return new TextEncoder().encode(JSON.stringify(encoded.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}

export function decodeRows(bytes: Uint8Array): readonly (readonly [string, Row])[] {
  const rows = JSON.parse(new TextDecoder().decode(bytes)) as readonly EncodedRow[];
  return rows.map(([key, count, timers]) => [key, { count, timers }]);
}

/** The description of a part: its files from the oldest to the newest, and the number that the database's next file has. */
export interface PartDescription {
  readonly files: readonly string[];
  readonly nextFileNumber: number;
}

export function encodeDescription(description: PartDescription): string {
  return Buffer.from(JSON.stringify(description)).toString('base64');
}

export function decodeDescription({ handle }: KeyedStatePart): PartDescription {
  if (handle.type !== 'inline') {
    throw new Error('the description of a part is inline');
  }
  return JSON.parse(Buffer.from(handle.base64, 'base64').toString()) as PartDescription;
}

export function isInRange(key: string, { first, last }: KeyGroupRange): boolean {
  const keyGroup = keyGroupOfKey(key);
  return keyGroup >= first && keyGroup <= last;
}
