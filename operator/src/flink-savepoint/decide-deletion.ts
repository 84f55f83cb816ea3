import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import { operationIdOf, operationOf, type SavepointInput, type SavepointStep, taskOf, toTime, unheardOf } from './decision.ts';
import { retryDelayMs } from './limits.ts';

type Deletion = NonNullable<FlinkSavepointStatus['deletion']>;

/**
 * Deleting the resource: what it has in storage is released, by the JobManager that runs or else by a task, unless `deletionPolicy: Retain` says otherwise. What a deletion
 * of the FlinkJob does with storage is said by its `checkpoints.onDelete` alone: a savepoint whose job is gone, or going, stays or is purged with it.
 */
export function decideDeletion(input: SavepointInput): SavepointStep {
  const { status, nowMs, limits, job, uid } = input;
  const deletion: Deletion = status.deletion ?? {
    operationId: operationIdOf(uid, 'dispose', 1),
    ...{ try: 1, by: 'JobManager', startedTime: toTime(nowMs), deadlineTime: toTime(nowMs + limits.deletionTimeoutMs) },
  };
  const next: FlinkSavepointStatus = { ...status, state: 'Deleting', deletion };
  const forget = (orphaned?: Problem): SavepointStep => ({ status: next, commands: [{ type: 'Forget', orphaned }] });
  const { spec } = input;
  const location = ownSavepoint(next);
  if (job?.purges === true || input.isNamedElsewhere || (spec.ok && spec.value.deletionPolicy === 'Retain')) {
    return forget();
  }
  if (!spec.ok || job === undefined || job.deleting) {
    const why = spec.ok ? 'its FlinkJob is gone, and nobody else may delete there' : 'its spec does not say whether it may go';
    return forget(location === undefined ? mayBeLeft(next) : orphan(location, why));
  }
  const late = nowMs >= Date.parse(deletion.deadlineTime);
  if (location === undefined) {
    const asked = unheardOf(next);
    return asked !== undefined && job.presence === 'Up' && !late ? awaitTaking(next, input, asked) : forget(mayBeLeft(next));
  }
  if (late) {
    return forget(orphan(location, status.problem?.message ?? 'it could not be deleted in time'));
  }
  return dispose({ ...input, status: next }, { deletion, location, forget });
}

/** A checkpoint belongs to the engine; what was imported is one. */
function ownSavepoint({ path, kind }: FlinkSavepointStatus): string | undefined {
  return kind === 'Savepoint' ? path : undefined;
}

function awaitTaking(status: FlinkSavepointStatus, { job, nowMs, limits }: SavepointInput, asked: string): SavepointStep {
  const operation = operationOf(job, asked);
  const wakeAtMs = nowMs + limits.busyPollMs;
  if (operation?.state === 'Completed') {
    const { location: path, checkpointId } = operation;
    return { status: { ...status, path, checkpointId, kind: 'Savepoint' }, commands: [], wakeAtMs };
  }
  // A JobManager that knows nothing of it never heard of it; without the lineage it knows nothing of anything. After a while, or in another lineage, it may have forgotten.
  const hasOpened = job?.jobManager?.document.epoch !== undefined;
  const isOver = operation?.state === 'Failed' || (operation === undefined && hasOpened);
  const orphaned = operation === undefined && status.completedTime !== undefined ? mayBeLeft(status) : undefined;
  return isOver ? { status, commands: [{ type: 'Forget', orphaned }] } : { status, commands: [], wakeAtMs };
}

interface Disposal {
  readonly deletion: Deletion;
  readonly location: string;
  readonly forget: (orphaned?: Problem) => SavepointStep;
}

function dispose(input: SavepointInput, { deletion, location, forget }: Disposal): SavepointStep {
  const { status, job, nowMs, limits } = input;
  const wakeAtMs = Math.min(nowMs + limits.busyPollMs, Date.parse(deletion.deadlineTime));
  if (deletion.by === 'Task') {
    return disposeByTask(input, { deletion, location, forget });
  }
  const operation = operationOf(job, deletion.operationId);
  const refusal = input.refusals.find(({ operationId }) => operationId === deletion.operationId);
  const isUnknown = refusal?.problem.code === 'SavepointUnknown';
  if (isUnknown && isElsewhere(location, job)) {
    // The job has been moved to another storage since, and its JobManager knows only what is there.
    return handToTask(input, { deletion, location, forget });
  }
  // Unknown to the lineage: it is gone already, or was never there.
  if (operation?.state === 'Completed' || isUnknown) {
    return forget();
  }
  if (operation?.state === 'Failed' || refusal !== undefined) {
    return tryAgain(input, { deletion, problem: operation?.error ?? refusal?.problem });
  }
  const address = job?.jobManager?.address;
  if (address !== undefined) {
    const { operationId } = deletion;
    return { status, commands: operation === undefined ? [{ type: 'Release', operationId, address, location }] : [], wakeAtMs };
  }
  const silentMs = nowMs - Date.parse(deletion.startedTime);
  if (job?.canRunTasks === true && (job.presence !== 'Up' || silentMs >= limits.jobManagerSilentMs)) {
    return handToTask(input, { deletion, location, forget });
  }
  return { status, commands: [], wakeAtMs };
}

function isElsewhere(location: string, job: SavepointInput['job']): boolean {
  return job?.canRunTasks === true && job.lineageUrl !== undefined && !location.startsWith(`${job.lineageUrl}/`);
}

function handToTask(input: SavepointInput, disposal: Disposal): SavepointStep {
  const deletion: Deletion = { ...disposal.deletion, by: 'Task' };
  return disposeByTask({ ...input, status: { ...input.status, deletion } }, { ...disposal, deletion });
}

function disposeByTask(input: SavepointInput, { deletion, location, forget }: Disposal): SavepointStep {
  const { status, nowMs, limits } = input;
  const { operationId } = deletion;
  const fact = taskOf(input, operationId);
  if (fact?.state === 'Answered' && fact.result.ok) {
    // Released at least: what is still needed goes when it is not any more. In a lineage that the job has left nothing newer comes.
    const stays = fact.result.disposed?.isGone === false && isElsewhere(location, input.job);
    return forget(stays ? leftWithLineage(location) : undefined);
  }
  if (fact?.state === 'Answered' || fact?.state === 'Failed') {
    return tryAgain(input, { deletion, problem: fact.state === 'Failed' ? fact.problem : fact.result.problem });
  }
  const wakeAtMs = Math.min(nowMs + limits.busyPollMs, Date.parse(deletion.deadlineTime));
  return fact === undefined
    ? { status, commands: [{ type: 'RunTask', operationId, task: { type: 'Dispose', location } }], wakeAtMs }
    : { status: { ...status, problem: fact.problem }, commands: [], wakeAtMs };
}

function tryAgain(
  { status, nowMs, limits, uid }: SavepointInput,
  { deletion, problem }: { readonly deletion: Deletion; readonly problem: Problem | undefined },
): SavepointStep {
  const why = problem && { code: problem.code, message: problem.message, remedy: problem.remedy };
  const retryTime = deletion.retryTime ?? toTime(nowMs + retryDelayMs(limits, deletion.try));
  const wakeAtMs = Math.min(Date.parse(retryTime), Date.parse(deletion.deadlineTime));
  if (nowMs < Date.parse(retryTime)) {
    return { status: { ...status, problem: why, deletion: { ...deletion, retryTime } }, commands: [], wakeAtMs };
  }
  const count = deletion.try + 1;
  const { retryTime: _retryTime, ...rest } = deletion;
  const next: Deletion = { ...rest, try: count, by: 'JobManager', operationId: operationIdOf(uid, 'dispose', count) };
  return { status: { ...status, problem: why, deletion: next }, commands: [], wakeAtMs: nowMs };
}

function leftWithLineage(location: string): Problem {
  return {
    code: 'DataOrphaned',
    message: `${location} is given free and stays in storage: the job has gone to another storage since, and it is what is newest where it lies`,
    remedy: 'Delete the folder of that lineage when nobody needs anything of it.',
  };
}

/** Undefined where nothing was asked for, or what came of it is known. */
function mayBeLeft(status: FlinkSavepointStatus): Problem | undefined {
  const asked = unheardOf(status);
  return asked === undefined
    ? undefined
    : {
        code: 'DataOrphaned',
        message: `the savepoint that the JobManager was asked for as ${asked} may be in storage: it did not say what came of it`,
        remedy: '`flinkjob savepoint ls LINEAGE` shows whether it is there, and `flinkjob savepoint release` gives it free.',
      };
}

function orphan(location: string, why: string): Problem {
  return {
    code: 'DataOrphaned',
    message: `${location} stays in storage: ${why}`,
    remedy: '`flinkjob savepoint release` gives it free when nobody needs it.',
  };
}
