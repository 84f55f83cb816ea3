import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import { operationIdOf, type SavepointInput, type SavepointStep, taskOf, toTime } from './decision.ts';
import { retryDelayMs } from './limits.ts';

type Drill = NonNullable<FlinkSavepointStatus['drill']>;

/** A restore drill of a savepoint that is in storage: asked for by its spec, once, or by the schedule of its job. */
export function decideDrill(input: SavepointInput): SavepointStep {
  const { status, spec, job, drillScheduleTime, nowMs } = input;
  if (status.state !== 'Completed' || status.path === undefined || !spec.ok) {
    return { status, commands: [] };
  }
  const { drill } = status;
  if (drill !== undefined && drill.result === undefined) {
    return advance(input, drill, status.path);
  }
  const isNew = drillScheduleTime !== undefined && drillScheduleTime !== drill?.scheduleTime;
  const isWanted = isNew || (spec.value.drill === 'Once' && drill === undefined);
  // Without its job there is no graph to restore with.
  if (!isWanted || job === undefined || job.deleting || !job.canRunTasks) {
    return { status, commands: [] };
  }
  const begun: Drill = {
    ...tryOf(input, 1, drillScheduleTime),
    startedTime: toTime(nowMs),
    ...(drillScheduleTime === undefined ? {} : { scheduleTime: drillScheduleTime }),
  };
  return advance({ ...input, status: { ...status, drill: begun } }, begun, status.path);
}

/** Of which savepoint is in the id: a status that somebody has emptied may come to name another one. */
function tryOf({ uid, status, nowMs, limits }: SavepointInput, count: number, scheduleTime: string | undefined) {
  const folder = status.path?.split('/').at(-1) ?? '';
  const operationId = operationIdOf(uid, 'drill', `${scheduleTime ?? 'once'}/${folder}/${count}`);
  return { operationId, try: count, deadlineTime: toTime(nowMs + limits.drillTimeoutMs) };
}

function advance(input: SavepointInput, drill: Drill, location: string): SavepointStep {
  const { status, nowMs, limits, job } = input;
  const { operationId } = drill;
  const end = (more: Partial<Drill>): SavepointStep => ({
    status: { ...status, drill: { ...drill, retryTime: undefined, endedTime: toTime(nowMs), ...more } },
    commands: [],
  });
  const fact = taskOf(input, operationId);
  if (fact?.state === 'Answered' && fact.result.ok && fact.result.drill !== undefined) {
    const { rowCount, fileCount, sizeBytes } = fact.result.drill;
    return end({ result: 'Restorable', problem: undefined, rowCount, fileCount, sizeBytes });
  }
  const problem = fact?.state === 'Answered' ? fact.result.problem : fact?.problem;
  if (fact?.state === 'Answered' && fact.result.problem?.retry === 'never') {
    return end({ result: 'NotRestorable', problem: plain(problem) });
  }
  if (nowMs >= Date.parse(drill.deadlineTime) || job === undefined || job.deleting) {
    return end({ result: 'GivenUp', problem: plain(problem) ?? gaveNoAnswer });
  }
  if (fact?.state === 'Answered' || fact?.state === 'Failed') {
    return tryAgain(input, { drill, location, problem: plain(problem) ?? gaveNoAnswer, end });
  }
  const wakeAtMs = nowMs + limits.busyPollMs;
  return fact === undefined
    ? { status, commands: [{ type: 'RunTask', operationId, task: { type: 'Drill', location } }], wakeAtMs }
    : { status, commands: [], wakeAtMs };
}

function tryAgain(
  input: SavepointInput,
  what: {
    readonly drill: Drill;
    readonly location: string;
    readonly problem: Problem;
    readonly end: (more: Partial<Drill>) => SavepointStep;
  },
): SavepointStep {
  const { drill, location, problem, end } = what;
  const { status, nowMs, limits } = input;
  if (drill.try >= limits.drillTriesMax) {
    return end({ result: 'GivenUp', problem });
  }
  const retryTime = drill.retryTime ?? toTime(nowMs + retryDelayMs(limits, drill.try));
  if (nowMs < Date.parse(retryTime)) {
    return { status: { ...status, drill: { ...drill, retryTime, problem } }, commands: [], wakeAtMs: Date.parse(retryTime) };
  }
  const { deadlineTime } = drill;
  const next: Drill = {
    ...drill,
    ...tryOf(input, drill.try + 1, drill.scheduleTime),
    ...{ deadlineTime, retryTime: undefined, problem },
  };
  return advance({ ...input, status: { ...status, drill: next } }, next, location);
}

const gaveNoAnswer: Problem = {
  code: 'DrillGaveNoAnswer',
  message: 'the process of the drill gave no answer in time',
  remedy: 'Look at its pod, or its log.',
};

function plain(problem: Problem | undefined): Problem | undefined {
  return problem && { code: problem.code, message: problem.message, remedy: problem.remedy };
}
