import { latestRunMs, nextRunMs } from '../api/cron-schedule.ts';
import type { FlinkJobKey } from '../api/flink-job.ts';
import {
  type NewFlinkSavepoint,
  type StoredFlinkSavepoint,
  savepointAnnotations,
  savepointLabels,
} from '../api/flink-savepoint.ts';
import type { SavepointSchedule } from '../api/savepoint-schedule-spec.ts';
import { isTerminal, toTime } from './decision.ts';

export interface ScheduleInput {
  readonly flinkJob: FlinkJobKey & { readonly uid: string; readonly createdAtMs: number };
  readonly schedule: SavepointSchedule;
  /** Whether there should be a JobManager: what a job that is not there would give is there already. */
  readonly isUp: boolean;
  /** All of this job, whoever has made them. */
  readonly savepoints: readonly StoredFlinkSavepoint[];
  readonly nowMs: number;
}

export interface ScheduleDecision {
  readonly create: NewFlinkSavepoint | undefined;
  /** Beyond what is to be kept. */
  readonly remove: readonly StoredFlinkSavepoint[];
  /** The savepoint to be drilled, and the time that asks for it. */
  readonly drill: { readonly uid: string; readonly scheduleTime: string } | undefined;
  /** When time alone changes something. */
  readonly wakeAtMs: number | undefined;
}

/** Of those that failed: enough to see whether it happens again and again. */
const failedCountKept = 3;

/**
 * Savepoints by the clock. Pure. What was done already is read off the savepoints that are there: the name of each is made of its time, so that whoever dies
 * between making one and knowing of it makes the same again; and the newest is never removed. Of times that passed unseen only the newest counts.
 */
export function decideSchedule(input: ScheduleInput): ScheduleDecision {
  const { schedule, nowMs } = input;
  const scheduled = input.savepoints.filter(isScheduled);
  const offsetMs = jitterMs(input);
  const taking =
    schedule.schedule === undefined ? undefined : decideTime(input, scheduled, { schedule: schedule.schedule, offsetMs });
  const drilling = decideDrillTime(input, offsetMs);
  const kept = decideRetention(scheduled, schedule, nowMs);
  const wakeAtMs = [taking?.wakeAtMs, drilling.wakeAtMs, kept.wakeAtMs].filter((each) => each !== undefined);
  return {
    create: taking?.create,
    remove: kept.remove,
    drill: drilling.drill,
    wakeAtMs: wakeAtMs.length === 0 ? undefined : Math.min(...wakeAtMs),
  };
}

function decideTime(
  input: ScheduleInput,
  scheduled: readonly StoredFlinkSavepoint[],
  { schedule, offsetMs }: { readonly schedule: string; readonly offsetMs: number },
): { readonly create: NewFlinkSavepoint | undefined; readonly wakeAtMs: number | undefined } {
  const { flinkJob, schedule: spec, isUp, nowMs } = input;
  const times = { schedule, timeZone: spec.timeZone };
  const next = nextRunMs(times, nowMs - offsetMs);
  const wakeAtMs = next === undefined ? undefined : next + offsetMs;
  const due = latestRunMs(times, nowMs - offsetMs);
  // Also one that somebody has taken the label from, so that it is kept: its time is over all the same.
  const made = input.savepoints.filter(isOfSchedule);
  const doneMs = Math.max(flinkJob.createdAtMs, ...[...scheduled, ...made].map(doneUntilMs(nowMs)));
  const isLate = due !== undefined && nowMs - due - offsetMs > spec.startDeadlineSeconds * 1000;
  const isBusy = scheduled.some(
    ({ metadata, status }) => metadata.deletionTimestamp === undefined && !(status && isTerminal(status)),
  );
  if (due === undefined || due <= doneMs || !isUp || isBusy || (isLate && spec.missedRun === 'Skip')) {
    return { create: undefined, wakeAtMs };
  }
  const create = savepointFor(flinkJob, spec, due);
  // Somebody's own: the time is theirs, and asking for it again would not change that.
  const isTaken = input.savepoints.some(({ metadata }) => metadata.name === create.name);
  return { create: isTaken ? undefined : create, wakeAtMs };
}

/** Without it nothing would say that its time is over. */
export function isLastOfSchedule(savepoint: StoredFlinkSavepoint, savepoints: readonly StoredFlinkSavepoint[]): boolean {
  const timesMs = savepoints.filter(isOfSchedule).map(scheduleTimeMs);
  return isOfSchedule(savepoint) && scheduleTimeMs(savepoint) >= Math.max(...timesMs);
}

/** Made by a schedule, and left to it: whoever takes the label from one keeps it. */
export function isScheduled({ metadata }: StoredFlinkSavepoint): boolean {
  return metadata.labels?.[savepointLabels.scheduled] === 'true';
}

function isOfSchedule({ metadata }: StoredFlinkSavepoint): boolean {
  return metadata.annotations?.[savepointAnnotations.scheduleTime] !== undefined;
}

/** Its time; of what was made by a clock that was ahead, when that was by the store's clock: times until then are over, those after it are still to come. */
function doneUntilMs(nowMs: number): (savepoint: StoredFlinkSavepoint) => number {
  return (savepoint) => {
    const timeMs = scheduleTimeMs(savepoint);
    return isPast(nowMs)(timeMs) ? timeMs : Math.min(timeMs, madeMs(savepoint));
  };
}

/** What a clock that was ahead has written down says nothing about the times until then. */
function isPast(nowMs: number): (timeMs: number) => boolean {
  return (timeMs) => timeMs <= nowMs;
}

function savepointFor({ namespace, name }: FlinkJobKey, spec: SavepointSchedule, dueMs: number): NewFlinkSavepoint {
  return {
    namespace,
    // To the minute, as schedules are: `words-20261121t0300`.
    name: `${name}-${toTime(dueMs).slice(0, 16).replaceAll(/[-:]/g, '').toLowerCase()}`,
    labels: { [savepointLabels.scheduled]: 'true' },
    annotations: { [savepointAnnotations.scheduleTime]: toTime(dueMs) },
    spec: {
      flinkJobName: name,
      format: spec.format,
      drill: 'None',
      deletionPolicy: 'Delete',
      startDeadlineSeconds: spec.startDeadlineSeconds,
    },
  };
}

function scheduleTimeMs({ metadata }: StoredFlinkSavepoint): number {
  const ms = Date.parse(metadata.annotations?.[savepointAnnotations.scheduleTime] ?? metadata.creationTimestamp);
  return Number.isNaN(ms) ? Date.parse(metadata.creationTimestamp) : ms;
}

/**
 * The newest of all that are complete, whoever has asked for it: that is what a restore would be made from. It was complete when the time came: of what has taken the place of a
 * savepoint that was drilled nobody could tell otherwise that this time is done with.
 */
function decideDrillTime(
  { flinkJob, schedule, savepoints, nowMs }: ScheduleInput,
  offsetMs: number,
): { readonly drill: ScheduleDecision['drill']; readonly wakeAtMs: number | undefined } {
  if (schedule.drill === undefined) {
    return { drill: undefined, wakeAtMs: undefined };
  }
  const times = { schedule: schedule.drill.schedule, timeZone: schedule.timeZone };
  const next = nextRunMs(times, nowMs - offsetMs);
  const wakeAtMs = next === undefined ? undefined : next + offsetMs;
  const due = latestRunMs(times, nowMs - offsetMs);
  const drilled = savepoints.map(({ status }) => Date.parse(status?.drill?.scheduleTime ?? new Date(0).toISOString()));
  const doneMs = Math.max(flinkJob.createdAtMs, ...drilled.filter(isPast(nowMs)));
  const [newest] = completed(savepoints)
    .filter((each) => isPast(nowMs)(completedMs(each)))
    .toSorted((a, b) => completedMs(b) - completedMs(a));
  const isDue = due !== undefined && due > doneMs;
  if (!isDue || newest === undefined || completedMs(newest) > due + offsetMs) {
    return { drill: undefined, wakeAtMs };
  }
  return { drill: { uid: newest.metadata.uid, scheduleTime: toTime(due) }, wakeAtMs };
}

function completed(savepoints: readonly StoredFlinkSavepoint[]): readonly StoredFlinkSavepoint[] {
  return savepoints.filter(({ metadata, status }) => status?.state === 'Completed' && metadata.deletionTimestamp === undefined);
}

/** By the store's clock, which is one; operators take turns, and each has its own. They are taken in the order in which they were made. */
function madeMs({ metadata }: StoredFlinkSavepoint): number {
  return Date.parse(metadata.creationTimestamp);
}

function completedMs({ status }: StoredFlinkSavepoint): number {
  return Date.parse(status?.completedTime ?? new Date(0).toISOString());
}

/** By count and age; the newest stays whatever its age, and one that is being drilled until that is over. */
function decideRetention(
  scheduled: readonly StoredFlinkSavepoint[],
  { retain, retainSeconds }: SavepointSchedule,
  nowMs: number,
): { readonly remove: readonly StoredFlinkSavepoint[]; readonly wakeAtMs: number | undefined } {
  const [newest, ...older] = completed(scheduled).toSorted((a, b) => madeMs(b) - madeMs(a));
  const isOld = (each: StoredFlinkSavepoint) => retainSeconds !== undefined && nowMs - completedMs(each) >= retainSeconds * 1000;
  const isDrilled = ({ status }: StoredFlinkSavepoint) => status?.drill !== undefined && status.drill.result === undefined;
  const going = older.filter((each, index) => (index + 1 >= retain || isOld(each)) && !isDrilled(each));
  const failed = scheduled
    .filter(({ metadata, status }) => isFailed(status?.state) && metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => scheduleTimeMs(b) - scheduleTimeMs(a));
  const staying = older.filter((each) => !going.includes(each));
  const ages =
    newest === undefined || retainSeconds === undefined ? [] : staying.map((each) => completedMs(each) + retainSeconds * 1000);
  const remove = [...going, ...failed.slice(failedCountKept)];
  return {
    // The time of the newest says what was done already.
    remove: remove.filter((each) => scheduleTimeMs(each) < Math.max(...scheduled.map(scheduleTimeMs))),
    wakeAtMs: ages.length === 0 ? undefined : Math.min(...ages),
  };
}

function isFailed(state: string | undefined): boolean {
  return state === 'Failed' || state === 'Abandoned';
}

/** The same at every run of one job, and spread evenly over jobs. */
function jitterMs({ flinkJob, schedule }: ScheduleInput): number {
  let hash = 0;
  for (const character of flinkJob.uid) {
    hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0;
  }
  return schedule.jitterSeconds === 0 ? 0 : (hash % (schedule.jitterSeconds + 1)) * 1000;
}
