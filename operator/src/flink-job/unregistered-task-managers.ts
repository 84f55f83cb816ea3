import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { attemptOperationId, type Command, type DecideInput, toMs, toTime } from './decision.ts';

type Unregistered = NonNullable<NonNullable<FlinkJobStatus['attempt']>['unregistered']>;

/** States in which a JobManager takes registrations. */
const registeringStates: ReadonlySet<JobStatusDocument['state']> = new Set([
  ...(['WaitingForTaskManagers', 'Deploying', 'Running', 'Restarting', 'Stopping', 'Finishing'] as const),
]);

/** Kept in the status at once; more of them wait for their turn. */
const unregisteredCountMax = 64;

/**
 * Which processes of TaskManagers live without being registered, and since when. A JobManager that does not answer says nothing about them: then nobody
 * is.
 */
export function findUnregistered({ status, facts, limits, nowMs }: DecideInput): Unregistered | undefined {
  const { attempt } = status;
  const { document } = facts;
  const registered = document?.taskManagers.ids;
  if (attempt === undefined || document === undefined || registered === undefined || !registeringStates.has(document.state)) {
    return undefined;
  }
  const missing = facts.taskManagers.filter(
    ({ attemptNumber, taskManagerId, process }) =>
      attemptNumber === attempt.number &&
      process.state === 'Alive' &&
      nowMs - process.startedAtMs >= limits.unregisteredAtStartMs &&
      !registered.includes(taskManagerId),
  );
  const unregistered = missing.slice(0, unregisteredCountMax).map(({ taskManagerId }) => ({
    taskManagerId,
    sinceTime: attempt.unregistered?.find((known) => known.taskManagerId === taskManagerId)?.sinceTime ?? toTime(nowMs),
  }));
  return unregistered.length === 0 ? undefined : unregistered;
}

/**
 * A process that lives and does not come back hangs: it is ended by force, and another takes its place. Its JobManager has cut it off long before, and its
 * lease keeps it from letting anything out if it wakes up.
 */
export function replaceUnregistered({ uid, status, limits, nowMs }: DecideInput): readonly Command[] {
  const { attempt } = status;
  return (attempt?.unregistered ?? [])
    .filter(({ sinceTime }) => nowMs - toMs(sinceTime) >= limits.unregisteredMs)
    .map(({ taskManagerId }) => ({
      type: 'Terminate',
      operationId: attemptOperationId(uid, attempt?.number ?? 0, `replace-${taskManagerId}`),
      which: { type: 'TaskManager', taskManagerId },
      graceMs: 0,
    }));
}
