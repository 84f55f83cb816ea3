import { invalidJob } from '../core/job-graph/invalid-job.ts';
import { describeValue } from '../core/types/value-mismatch.ts';

/** A length of time: the sum of what is given, such as `{ minutes: 1, seconds: 30 }`. */
export interface Duration {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  readonly milliseconds?: number;
}

const unitsMs: Readonly<Record<keyof Duration, number>> = {
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
};

/** A hundred years: longer is a mistake in the unit. */
const durationMsMax = 100 * 365 * unitsMs.days;

/** In whole milliseconds. `where` is named in errors: `the size of windows.tumbling`. */
export function durationMs(given: Duration, where: string, limits: { readonly minMs: number; readonly maxMs?: number }): number {
  const units = Object.keys(unitsMs) as (keyof Duration)[];
  const isObject = typeof given === 'object' && given !== null;
  const parts = isObject ? Object.entries(given) : [];
  const unknown = parts.find(([unit]) => !units.includes(unit as keyof Duration))?.[0];
  const wrong = parts.find(([, count]) => !Number.isFinite(count));
  if (unknown !== undefined || wrong !== undefined || parts.length === 0) {
    const problem =
      unknown !== undefined
        ? `has the unit "${unknown}"`
        : wrong !== undefined
          ? `has ${describeValue(wrong[1])} as its ${wrong[0]}`
          : `is ${describeValue(given)}`;
    throw invalidJob('DurationInvalid', `${where} ${problem}`, `Give numbers of ${units.join(', ')}, such as { minutes: 1 }.`);
  }
  const exactMs = parts.reduce((sum, [unit, count]) => sum + count * unitsMs[unit as keyof Duration], 0);
  const roundedMs = Math.round(exactMs) + 0;
  const { minMs, maxMs = durationMsMax } = limits;
  if (roundedMs < minMs || roundedMs > maxMs) {
    throw invalidJob('DurationInvalid', `${where} is ${exactMs} ms`, `Give a length of ${minMs} to ${maxMs} ms.`);
  }
  return roundedMs;
}
