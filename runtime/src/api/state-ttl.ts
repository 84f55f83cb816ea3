import { invalidJob } from '../core/job-graph/invalid-job.ts';
import type { StateTtl } from '../core/job-graph/job-graph.ts';
import { describeValue } from '../core/types/value-mismatch.ts';

/** What every kind of state can be declared with. */
export interface StateOptions {
  /** Time to live: of a value, of each element of a list, of each entry of a map. Without it what is set stays until it is cleared. */
  readonly ttl?: TimeToLive;
}

export interface TimeToLive {
  /** By processing time; down to a thousandth. */
  readonly seconds: number;
  /** What gives an entry its full time again; `Write` when left out. */
  readonly renewedBy?: StateTtl['renewedBy'];
}

/** A hundred years: longer is a mistake in the unit. */
const secondsMax = 100 * 365 * 86_400;

/** Undefined without one. Ready to be spread into a definition. */
export function checkStateOptions(options: StateOptions | undefined, where: string): { readonly ttl?: StateTtl } {
  if (options === undefined) {
    return {};
  }
  refuseUnknown(options, ['ttl'], where);
  const { ttl } = options;
  if (ttl === undefined) {
    return {};
  }
  refuseUnknown(ttl, ['seconds', 'renewedBy'], `the ttl of ${where}`);
  const { seconds, renewedBy = 'Write' } = ttl;
  const ttlMs = Math.round(seconds * 1000);
  if (!(typeof seconds === 'number' && ttlMs >= 1 && seconds <= secondsMax)) {
    throw invalidJob(
      'StateTtlInvalid',
      `the ttl of ${where} has ${describeValue(seconds)} as its seconds`,
      `Give a number of seconds from 0.001 to ${secondsMax}; leave ttl out for state that stays.`,
    );
  }
  if (renewedBy !== 'Write' && renewedBy !== 'ReadAndWrite') {
    throw invalidJob(
      'StateTtlInvalid',
      `the ttl of ${where} has ${describeValue(renewedBy)} as what renews it`,
      "Give renewedBy: 'Write' or 'ReadAndWrite', or leave it out for 'Write'.",
    );
  }
  return { ttl: { ttlMs, renewedBy } };
}

/** A misspelt option would otherwise be ignored silently. */
function refuseUnknown(given: object, known: readonly string[], where: string): void {
  const isObject = typeof given === 'object' && given !== null;
  const unknown = isObject ? Object.keys(given).find((option) => !known.includes(option)) : undefined;
  if (!isObject || unknown !== undefined) {
    throw invalidJob(
      'StateOptionUnknown',
      unknown === undefined ? `${where} was given ${describeValue(given)} as options` : `${where} has no option "${unknown}"`,
      `Known options: ${known.join(', ')}.`,
    );
  }
}
