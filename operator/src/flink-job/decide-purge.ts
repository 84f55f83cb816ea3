import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { type Command, type DecideInput, toMs, toTime } from './decision.ts';
import { retryDelayMs } from './limits.ts';
import { policiesOf } from './policies.ts';

type Deletion = NonNullable<FlinkJobStatus['deletion']>;

export type PurgeStep =
  /** Nothing is to be purged. */
  | { readonly type: 'Nothing' }
  /** Everything is. */
  | { readonly type: 'Done' }
  | { readonly type: 'Pending'; readonly deletion: Deletion; readonly commands: readonly Command[] }
  /** It could not be done within its time: the resource goes, and the lineage stays. */
  | { readonly type: 'GivenUp'; readonly problem: Problem };

/**
 * `checkpoints.onDelete: Purge`, once the processes are gone: a short process deletes the lineage; it is tried again until it succeeds or its time is over.
 * What the spec says last counts, also where that never became a revision. A resource of which nothing ever started has written nothing, and
 * purges nothing.
 */
export function decidePurge(input: DecideInput, deletion: Deletion, options: { readonly orphaned: boolean }): PurgeStep {
  const { current, status, facts, limits, nowMs } = input;
  const { onDelete, deleteTimeoutSeconds } = policiesOf(input);
  if (onDelete !== 'Purge') {
    return { type: 'Nothing' };
  }
  if (status.revision === undefined) {
    // Who looks at a FlinkJob for the first time writes a status, and it is not asked about one that it has never looked at.
    return status.observedGeneration === undefined ? { type: 'GivenUp', problem: statusLost() } : { type: 'Nothing' };
  }
  if (current === undefined) {
    return { type: 'GivenUp', problem: revisionGone(status.revision) };
  }
  const purge = deletion.purge ?? { try: 1, deadlineTime: toTime(nowMs + deleteTimeoutSeconds * 1000) };
  const operationId = purgeOperationId(deletion, purge.try);
  const fact = facts.purge?.operationId === operationId ? facts.purge : undefined;
  if (fact?.state === 'Completed') {
    return { type: 'Done' };
  }
  const dying = facts.refusals.find(
    (refusal) => refusal.operationId === operationId && refusal.problem.code === namespaceTerminatingCode,
  );
  if (dying !== undefined && fact === undefined) {
    return { type: 'GivenUp', problem: dying.problem };
  }
  const problem = fact?.state === 'Failed' ? fact.problem : purge.problem;
  if (nowMs >= toMs(purge.deadlineTime)) {
    return { type: 'GivenUp', problem: problem ?? timedOut(deleteTimeoutSeconds) };
  }
  const run = (count: number): Command => ({
    type: 'RunPurge',
    operationId: purgeOperationId(deletion, count),
    revision: current.name,
    attemptNumber: (status.attempt?.number ?? 0) + 1,
    // The grace period protects processes that are left; of ours there is none, unless they could not be ended.
    ...(options.orphaned ? {} : { graceSeconds: 0 }),
  });
  if (fact === undefined) {
    return { type: 'Pending', deletion: { ...deletion, purge }, commands: [run(purge.try)] };
  }
  if (fact.state === 'Running') {
    return { type: 'Pending', deletion: { ...deletion, purge }, commands: [] };
  }
  const retryTime = purge.retryTime ?? toTime(nowMs + retryDelayMs(limits, purge.try));
  if (nowMs < toMs(retryTime)) {
    return { type: 'Pending', deletion: { ...deletion, purge: { ...purge, retryTime, problem: fact.problem } }, commands: [] };
  }
  const next = { try: purge.try + 1, deadlineTime: purge.deadlineTime, problem: fact.problem };
  return { type: 'Pending', deletion: { ...deletion, purge: next }, commands: [run(next.try)] };
}

/** Of the try that is under way. */
export function currentPurgeId(status: FlinkJobStatus): string | undefined {
  const { deletion } = status;
  return deletion?.purge === undefined ? undefined : purgeOperationId(deletion, deletion.purge.try);
}

function purgeOperationId({ operationId }: Deletion, count: number): string {
  return `${operationId}/purge/${count}`;
}

/** Nothing can be made in a namespace that is being deleted, now or later. */
export const namespaceTerminatingCode = 'NamespaceTerminating';

/** Purging all the same might delete what an earlier FlinkJob of this name was to leave. */
function statusLost(): Problem {
  return {
    code: 'StatusLost',
    message: 'the FlinkJob has no status, so nobody knows whether it has ever run',
    remedy: 'If it has, flinkjob janitor shows what is left there.',
  };
}

/** With a namespace go its ControllerRevisions too, in no order that anybody promises. */
function revisionGone(revision: string): Problem {
  return {
    code: 'RevisionGone',
    message: `revision ${revision} is not in the store any more, so no process that purges can be made of it`,
  };
}

function timedOut(timeoutSeconds: number): Problem {
  return {
    code: 'PurgeTimedOut',
    message: `the lineage was not purged within ${timeoutSeconds} s`,
    remedy: 'Look whether the checkpoint storage can be reached; flinkjob janitor shows what is left there.',
  };
}
