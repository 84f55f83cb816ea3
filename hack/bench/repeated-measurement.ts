import { loadavg } from 'node:os';
import { median } from './median.ts';

export type Measurement = Readonly<Record<string, number>>;

export interface MeasurementOptions {
  /** A short form, for a look or for CI. */
  readonly isQuick: boolean;
  /** Of `window-buffer`: how many times as fast as the clock event time goes. */
  readonly eventSpeed?: number | undefined;
  /** Of `many-checkpoints`. */
  readonly count?: number | undefined;
  readonly signal: AbortSignal;
}

/** Measures so many times; prints each result, and as the last line the medians. */
export async function runRepeatedly(name: string, measure: () => Promise<Measurement>, repetitions: number): Promise<void> {
  const runs: Measurement[] = [];
  for (let repetition = 1; repetition <= repetitions; repetition += 1) {
    const result = await measure();
    runs.push(result);
    console.log(`${name} ${repetition}/${repetitions}: ${JSON.stringify(result)}`);
  }
  const medians = Object.fromEntries(
    Object.keys(runs[0] ?? {}).map((field) => [field, median(runs.map((run) => run[field] ?? Number.NaN))]),
  );
  console.log(JSON.stringify({ case: name, repetitions, loadAverage: loadavg()[0], medians }));
}
