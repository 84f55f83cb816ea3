import { Cron } from 'croner';

/** Five fields; what is in them is checked by `isCronSchedule`, which a structural schema cannot say. */
export const cronPattern = /^\S+( \S+){4}$/;

/** Minute, hour, day of month, month, day of week; and it has to come up at all: 30 February never does. */
export function isCronSchedule(text: string): boolean {
  try {
    return cronPattern.test(text) && new Cron(text, { mode: '5-part', paused: true, timezone: 'UTC' }).nextRun() !== null;
  } catch {
    return false;
  }
}

/** A name of the IANA database that this Node knows. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone.length > 0;
  } catch {
    return false;
  }
}

export interface CronTimes {
  readonly schedule: string;
  readonly timeZone: string;
}

/** The last time of the schedule at or before `atMs`; undefined when there was none in living memory. */
export function latestRunMs({ schedule, timeZone }: CronTimes, atMs: number): number | undefined {
  const cron = new Cron(schedule, { mode: '5-part', paused: true, timezone: timeZone });
  // What is asked for is before its reference, and times of a schedule are whole minutes.
  return cron.previousRuns(1, new Date(atMs + 1))[0]?.getTime();
}

/** The first time of the schedule after `atMs`. */
export function nextRunMs({ schedule, timeZone }: CronTimes, atMs: number): number | undefined {
  return new Cron(schedule, { mode: '5-part', paused: true, timezone: timeZone }).nextRun(new Date(atMs))?.getTime();
}
