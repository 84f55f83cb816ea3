import type { KeySequence } from './key-sequence.ts';

export const manyStatesCount = 30;
/** Touched by each record after the first ones. */
const touchedCount = 3;
const payloadSizeBytes = 64;

/** Which states of a key a record touches: `count` of them from `first` on. */
export interface StateAccess {
  readonly key: number;
  readonly first: number;
  readonly count: number;
}

/** The first records touch all states of each key. */
export function accessOf(index: number, keys: KeySequence, keyCount: number): StateAccess {
  const key = keys.keyAt(index);
  return index < keyCount
    ? { key, first: 0, count: manyStatesCount }
    : { key, first: index % manyStatesCount, count: touchedCount };
}

const payload = Buffer.alloc(payloadSizeBytes);

/** Differs from key to key and from state to state. The same buffer each time: to be read before the next call. */
export function statePayload(key: number, stateIndex: number): Uint8Array {
  let word = Math.imul(key + 1, 0x9e3779b9) ^ Math.imul(stateIndex + 1, 0x85ebca6b);
  for (let offset = 0; offset < payloadSizeBytes; offset += 4) {
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97) + offset;
    payload.writeInt32LE(word | 0, offset);
  }
  return payload;
}
