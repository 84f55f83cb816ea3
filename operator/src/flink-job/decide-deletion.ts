import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { decidePurge, type PurgeStep } from './decide-purge.ts';
import { decideSavepointOnDelete } from './decide-savepoint-on-delete.ts';
import { type Command, currentJobManager, currentStorage, type DecideInput, type Decision, toMs, toTime } from './decision.ts';
import { lifecycleState } from './lifecycle-state.ts';
import { lingeringPollMs } from './limits.ts';
import { policiesOf } from './policies.ts';
import { describeStatus } from './status.ts';
import type { Move } from './transitions.ts';

type Deletion = NonNullable<FlinkJobStatus['deletion']>;

/**
 * Deletion: the savepoint that `checkpoints.onDelete` may ask for, then cancel, end the processes, purge the lineage if it asks for that, let the resource go. Each step has a
 * deadline past which the next begins all the same, so that nobody waits for ever for a process that cannot be ended, a storage that does not
 * answer, or a namespace in which nothing can be made any more.
 */
export function decideDeletion(found: DecideInput): Decision {
  const input = { ...found, status: withAttemptSeen(found) };
  const { status, uid } = input;
  const begun = status.deletion;
  const operationId = begun?.operationId ?? `${uid}/delete`;
  const saving = decideSavepointOnDelete(input, operationId);
  const savepoint = saving.savepoint === undefined ? {} : { savepoint: saving.savepoint };
  if (saving.savepoint?.state === 'InProgress') {
    const deletion: Deletion = { operationId, deadlineTime: saving.savepoint.deadlineTime, ...savepoint };
    const moves = begun === undefined ? [deleted(found.status, 'Saving')] : [];
    return pending(input, deletion, { commands: saving.commands, moves });
  }
  const wasSaving = begun === undefined || begun.savepoint?.state === 'InProgress';
  const deadlineTime = wasSaving ? toTime(input.nowMs + input.limits.deletionTimeoutMs) : begun.deadlineTime;
  const moves: readonly Move[] =
    begun === undefined ? [deleted(found.status, 'Ending')] : wasSaving ? [saved(saving.savepoint?.state)] : [];
  return endProcesses(input, { ...begun, operationId, deadlineTime, ...savepoint }, moves);
}

/** Of a status that somebody has emptied: what its processes say of it, because what they have written may have to be purged. */
function withAttemptSeen(input: DecideInput): FlinkJobStatus {
  const { status, facts, nowMs } = input;
  const [newest] = [...facts.jobManagers, ...facts.taskManagers].sort((a, b) => b.attemptNumber - a.attemptNumber);
  const isLost = status.revision === undefined && status.attempt === undefined;
  if (!isLost || newest === undefined || policiesOf(input).onDelete !== 'Purge') {
    return status;
  }
  const { attemptNumber: number, revision } = newest;
  const unknown = { token: 'lost', taskManagers: 1, instance: 1, restoreFrom: 'Latest' } as const;
  return { ...status, revision, attempt: { ...unknown, number, startedTime: toTime(nowMs) } };
}

function deleted(status: FlinkJobStatus, to: 'Ending' | 'Saving'): Move {
  const from = lifecycleState(status);
  if (from === 'Saving' || from === 'Ending' || from === 'Purging' || from === 'Gone') {
    throw new Error(`bug: ${from} without a deletion`);
  }
  return to === 'Saving' ? { from, event: 'DeletedWithSavepoint', to } : { from, event: 'Deleted', to };
}

function saved(state: string | undefined): Move {
  return { from: 'Saving', event: state === 'Taken' ? 'SavepointTaken' : 'NoSavepoint', to: 'Ending' };
}

function endProcesses(input: DecideInput, deletion: Deletion, moves: readonly Move[]): Decision {
  const { facts, nowMs, limits } = input;
  const processes = [...facts.jobManagers, ...facts.taskManagers];
  if (processes.length === 0 || nowMs >= toMs(deletion.deadlineTime) || deletion.purge !== undefined) {
    return letGo(input, deletion, { orphaned: processes.length > 0, moves });
  }
  const address = currentJobManager(input.status, facts)?.restAddress;
  const cancelTime = deletion.cancelTime ?? toTime(nowMs);
  const mayCancel = address !== undefined && isCancellable(facts.document?.state);
  if (mayCancel && nowMs - toMs(cancelTime) < limits.cancelTimeoutMs) {
    const command: Command = { type: 'CancelJob', operationId: `${deletion.operationId}/cancel`, address };
    return pending(input, { ...deletion, cancelTime }, { commands: [command], moves });
  }
  const operationId = `${deletion.operationId}/end`;
  const command: Command = { type: 'Terminate', operationId, which: { type: 'All' }, graceMs: limits.terminateGraceMs };
  const leftMs = toMs(deletion.deadlineTime) - nowMs;
  const requeueAfterMs = Math.min(
    lingeringPollMs(limits, limits.deletionTimeoutMs - leftMs),
    Math.max(limits.busyPollMs, leftMs),
  );
  return { ...pending(input, deletion, { commands: [command], moves }), requeueAfterMs };
}

function letGo(
  input: DecideInput,
  deletion: Deletion,
  { orphaned, moves }: { readonly orphaned: boolean; readonly moves: readonly Move[] },
): Decision {
  const purge = decidePurge(input, deletion, { orphaned });
  const began: readonly Move[] =
    purge.type !== 'Nothing' && deletion.purge === undefined
      ? [...moves, { from: 'Ending', event: 'PurgeWanted', to: 'Purging' }]
      : moves;
  if (purge.type === 'Pending') {
    return pending(input, purge.deletion, { commands: purge.commands, moves: began });
  }
  const next = describeStatus({ ...input, status: deletingStatus(input, deletion) });
  const release: Command = {
    ...{ type: 'Release', operationId: `${deletion.operationId}/release`, orphaned },
    unpurged: purge.type === 'GivenUp' ? purge.problem : undefined,
    checkpointStorage: checkpointStorageOf(input),
    unsaved: unsaved(deletion),
  };
  return { status: next, commands: [release], moves: [...began, gone(purge, orphaned)], requeueAfterMs: input.limits.idlePollMs };
}

function gone({ type }: PurgeStep, orphaned: boolean): Move {
  switch (type) {
    case 'Done':
      return { from: 'Purging', event: 'Purged', to: 'Gone' };
    case 'GivenUp':
      return { from: 'Purging', event: 'NotPurged', to: 'Gone' };
    default:
      return orphaned
        ? { from: 'Ending', event: 'ProcessesLeft', to: 'Gone' }
        : { from: 'Ending', event: 'ProcessesGone', to: 'Gone' };
  }
}

function unsaved({ savepoint }: Deletion): Problem | undefined {
  return savepoint?.state === 'NotTaken'
    ? (savepoint.problem ?? { code: 'SavepointTimedOut', message: 'there was no answer' })
    : undefined;
}

function checkpointStorageOf(input: DecideInput): string | undefined {
  const { desired } = input;
  return currentStorage(input) ?? (desired.valid ? desired.revision.spec.state.checkpointStorage : undefined);
}

function pending(
  input: DecideInput,
  deletion: Deletion,
  { commands, moves }: { readonly commands: readonly Command[]; readonly moves: readonly Move[] },
): Decision {
  const status = describeStatus({ ...input, status: deletingStatus(input, deletion) });
  return { status, commands, moves, requeueAfterMs: input.limits.busyPollMs };
}

function deletingStatus({ status, generation }: DecideInput, deletion: Deletion): FlinkJobStatus {
  return { ...status, deletion, rollout: undefined, observedGeneration: generation };
}

/** In the other states there is nothing to cancel. */
export function isCancellable(state: string | undefined): boolean {
  return state === 'Running' || state === 'Restarting' || state === 'Deploying' || state === 'WaitingForTaskManagers';
}
