import { type Infer, t } from '@flinkjob/runtime';
import { GeneratedValues } from './generated-values.ts';
import { KeySequence } from './key-sequence.ts';

export const windowMs = 2 * 3_600_000;
export const outOfOrdernessMs = 5_000;
/** At the beginning of a window. */
const epochMs = 250_000 * windowMs;
const payloadSizeBytes = 80;

export const reading = t.struct({ index: t.int, key: t.int, timestampMs: t.int, payload: t.bytes });
export type Reading = Infer<typeof reading>;

/** The records of the job, and how to tell right ones: the same from the same number. */
export class Readings {
  readonly #keys: KeySequence;
  readonly #recordsPerEventSecond: number;
  readonly #payloads = new GeneratedValues({ sizeBytesMin: payloadSizeBytes, sizeBytesMax: payloadSizeBytes });

  constructor(options: { readonly keyCount: number; readonly recordsPerEventSecond: number }) {
    this.#keys = new KeySequence({ seed: 1, keyCount: options.keyCount });
    this.#recordsPerEventSecond = options.recordsPerEventSecond;
  }

  at(index: number): Reading {
    const key = this.#keys.keyAt(index);
    return { index, key, timestampMs: this.timestampMsOf(index), payload: this.#payloads.valueOf(key, index) };
  }

  /** Out of order, and never late. */
  timestampMsOf(index: number): number {
    const lateMs = Math.imul(index, 0x9e3779b1) >>> 0;
    return epochMs + outOfOrdernessMs + Math.floor((index * 1000) / this.#recordsPerEventSecond) - (lateMs % outOfOrdernessMs);
  }

  isRight({ index, key, timestampMs, payload }: Reading): boolean {
    return timestampMs === this.timestampMsOf(index) && Buffer.compare(payload, this.#payloads.valueOf(key, index)) === 0;
  }
}

/** Of all records of one window, whatever their keys. */
export interface WindowTotals {
  records: number;
  /** Of the records' numbers, modulo 2^32. */
  sum: number;
}

/** By the end of their window, as the job must find them. */
export function expectedTotals(readings: Readings, recordCount: number): ReadonlyMap<number, WindowTotals> {
  const totals = new Map<number, WindowTotals>();
  for (let index = 0; index < recordCount; index++) {
    const timestampMs = readings.timestampMsOf(index);
    addTo(totals, timestampMs - (timestampMs % windowMs) + windowMs, 1, index);
  }
  return totals;
}

export function addTo(totals: Map<number, WindowTotals>, windowEndMs: number, records: number, sum: number): void {
  const before = totals.get(windowEndMs) ?? { records: 0, sum: 0 };
  totals.set(windowEndMs, { records: before.records + records, sum: (before.sum + sum) % 2 ** 32 });
}
