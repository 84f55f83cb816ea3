import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { WatermarkAlignment, WatermarkStrategy } from '../core/time/watermark-strategy.ts';
import { describeValue } from '../core/types/value-mismatch.ts';
import { durationMs } from './duration.ts';

export interface BoundedOutOfOrderness<T> {
  /** The record's event time in whole milliseconds since the epoch. */
  readonly timestampMs: (record: T) => number;
  /** How much earlier than the latest record before it a record may be without being late; 0 for records in order. */
  readonly outOfOrdernessSeconds: number;
  /**
   * After so long without a record a split of the source no longer holds up event time; it is there again with its next record. Without this, a
   * split that gives nothing holds up everything for ever.
   */
  readonly idleSeconds?: number;
  /**
   * Keeps the splits of this source and of all others in the group together: none is read further than so much ahead of the one furthest behind.
   * Choose well above the event time that a source reads in a second, which is how often subtasks hear of each other.
   */
  readonly alignment?: { readonly group: string; readonly maxDriftSeconds: number };
}

/** How a stream gets event time: for the option `watermarks` of `env.source`, and for `stream.assignTimestampsAndWatermarks`. */
export class Watermarks<T> {
  readonly strategy: WatermarkStrategy;
  /** Only for the compiler: which records it is for. */
  declare readonly recordOf: (record: T) => void;

  constructor(strategy: WatermarkStrategy) {
    this.strategy = strategy;
  }
}

export const watermarks = {
  /** The watermark is the latest event time so far, less the bound, less a millisecond; of each split by itself, and of all the lowest. */
  boundedOutOfOrderness<T>(options: BoundedOutOfOrderness<T>): Watermarks<T> {
    const where = 'watermarks.boundedOutOfOrderness';
    const given = checkOptions(options, ['timestampMs', 'outOfOrdernessSeconds', 'idleSeconds', 'alignment'], where);
    const { timestampMs, outOfOrdernessSeconds, idleSeconds, alignment } = given as Partial<BoundedOutOfOrderness<T>>;
    if (typeof timestampMs !== 'function') {
      throw invalidJob(
        'FunctionMissing',
        `${where} was given ${describeValue(timestampMs)} as its timestampMs`,
        'Pass a function that gives milliseconds since the epoch: timestampMs: (record) => Date.parse(record.time).',
      );
    }
    return new Watermarks<T>({
      timestampMs: timestampMs as (record: unknown) => number,
      outOfOrdernessMs: secondsToMs(outOfOrdernessSeconds, `the outOfOrdernessSeconds of ${where}`, 0),
      idleMs: idleSeconds === undefined ? undefined : secondsToMs(idleSeconds, `the idleSeconds of ${where}`, 1),
      alignment: alignment === undefined ? undefined : toAlignment(alignment, `the alignment of ${where}`),
    });
  },
} as const;

/** For JavaScript authors, and for whoever passes the options themselves. */
export function checkWatermarks(given: Watermarks<never>, where: string): WatermarkStrategy {
  if (!(given instanceof Watermarks)) {
    throw invalidJob(
      'WatermarksInvalid',
      `${where} was given ${describeValue(given)} as watermarks`,
      'Pass the result of watermarks.boundedOutOfOrderness({ outOfOrdernessSeconds, timestampMs }).',
    );
  }
  return given.strategy;
}

function toAlignment(given: { readonly group: string; readonly maxDriftSeconds: number }, where: string): WatermarkAlignment {
  const { group, maxDriftSeconds } = checkOptions(given, ['group', 'maxDriftSeconds'], where) as typeof given;
  if (typeof group !== 'string' || group === '' || group.length > 128) {
    throw invalidJob(
      'WatermarksInvalid',
      `${where} has ${describeValue(group)} as its group`,
      'Name the group with 1 to 128 characters; sources that name the same one are kept together.',
    );
  }
  return { group, maxDriftMs: secondsToMs(maxDriftSeconds, `the maxDriftSeconds of ${where}`, 1) };
}

function secondsToMs(seconds: number | undefined, where: string, minMs: number): number {
  return durationMs({ seconds: seconds ?? Number.NaN }, where, { minMs });
}

/** A misspelt option would otherwise be ignored silently. */
function checkOptions(given: object, known: readonly string[], where: string): object {
  const isObject = typeof given === 'object' && given !== null;
  const unknown = isObject ? Object.keys(given).find((option) => !known.includes(option)) : undefined;
  if (!isObject || unknown !== undefined) {
    throw invalidJob(
      'WatermarksInvalid',
      isObject ? `${where} has no option "${unknown}"` : `${where} was given ${describeValue(given)}`,
      `Known options: ${known.join(', ')}.`,
    );
  }
  return given;
}
