import type { JobStatusDocument } from '@flinkjob/runtime/rest';

/** Records per second of every vertex, from counters that were read at different times. */
export interface RateHistory {
  /** Oldest first; at most `samplesMax`. */
  readonly samples: readonly RateSample[];
  /** Records per second through the first vertex, oldest first. */
  readonly throughput: readonly number[];
}

interface RateSample {
  readonly atMs: number;
  /** Counters start anew in another execution. */
  readonly execution: string;
  readonly vertices: ReadonlyMap<string, { readonly recordsIn: number; readonly recordsOut: number }>;
}

export interface VertexRate {
  readonly recordsInPerSecond: number;
  readonly recordsOutPerSecond: number;
}

export const noRates: RateHistory = { samples: [], throughput: [] };

/** Rates are means over this time: long enough to be calm, short enough to show that something happened. */
const windowMs = 5000;
/** The throughput line moves faster, but TaskManagers report only about once a second. */
const throughputWindowMs = 2500;
const samplesMax = 50;
/** As many as the widest throughput line shows. */
const throughputMax = 120;

/** Pure. Adds what `status` says at `atMs`. */
export function addSample(history: RateHistory, status: JobStatusDocument, atMs: number): RateHistory {
  const sample: RateSample = {
    atMs,
    execution: `${status.epoch}/${status.executionAttempt}`,
    vertices: new Map(status.vertices.map(({ id, recordsIn, recordsOut }) => [id, { recordsIn, recordsOut }])),
  };
  const last = history.samples.at(-1);
  const kept = last !== undefined && last.execution !== sample.execution ? [] : history.samples;
  const samples = [...kept.filter((older) => atMs - older.atMs <= windowMs), sample].slice(-samplesMax);
  const first = status.vertices[0];
  const before = samples.find((older) => atMs - older.atMs <= throughputWindowMs);
  const rate = first === undefined || before === undefined ? undefined : rateBetween(before, sample, first.id);
  // A job that is one chain sends nothing on.
  const throughput = Math.max(rate?.recordsInPerSecond ?? 0, rate?.recordsOutPerSecond ?? 0);
  return { samples, throughput: [...history.throughput, throughput].slice(-throughputMax) };
}

/** Undefined until two samples of the same execution exist. */
export function vertexRate(history: RateHistory, vertexId: string): VertexRate | undefined {
  const first = history.samples[0];
  const last = history.samples.at(-1);
  return first === undefined || last === undefined || first === last ? undefined : rateBetween(first, last, vertexId);
}

function rateBetween(first: RateSample, last: RateSample, vertexId: string): VertexRate | undefined {
  const seconds = (last.atMs - first.atMs) / 1000;
  const before = first.vertices.get(vertexId);
  const after = last.vertices.get(vertexId);
  if (seconds <= 0 || before === undefined || after === undefined) {
    return undefined;
  }
  // A TaskManager that was replaced counts from zero again.
  return {
    recordsInPerSecond: Math.max(0, after.recordsIn - before.recordsIn) / seconds,
    recordsOutPerSecond: Math.max(0, after.recordsOut - before.recordsOut) / seconds,
  };
}

const levels = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/** The last `width` values as bars; the tallest is the largest of those shown. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = width > 0 ? values.slice(-width) : [];
  const top = Math.max(...shown, 0);
  return shown.map((value) => (top === 0 || value === 0 ? ' ' : levels[Math.min(7, Math.floor((value / top) * 7.999))])).join('');
}
