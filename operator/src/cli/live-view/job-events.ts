import type { JobStatusDocument, OperationStatus } from '@flinkjob/runtime/rest';
import type { StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStatus, Problem, Rollout } from '../../api/flink-job-status.ts';
import { asksForPurge } from '../../api/parse-flink-job.ts';
import { plural } from '../format.ts';
import { type JobSnapshot, toneOf } from './job-snapshot.ts';
import type { Tone } from './style.ts';
import type { ViewEvent } from './view-state.ts';

/** Pure. What happened between two looks at a job, in the order in which it makes sense to a reader. */
export function eventsBetween(before: JobSnapshot | undefined, after: JobSnapshot): readonly ViewEvent[] {
  const leaving = isLeaving(after.flinkJob);
  const drafts = [
    ...rolloutEvents(before?.flinkJob?.status, after.flinkJob?.status),
    ...errorEvents(before, after),
    ...processEvents(before?.job, after.job, leaving),
    ...jobEvents(before?.job, after.job),
    ...operationEvents(before?.job, after.job),
    // What had ended before the first look is history.
    ...(before === undefined ? [] : endEvents(before.flinkJob?.status, after.flinkJob?.status)),
    ...(before?.flinkJob !== undefined && after.flinkJob === undefined ? [deletedEvent(before.flinkJob)] : []),
  ];
  // The lost TaskManager is both an error, which says more, and one fewer.
  const distinct = drafts.filter((draft, index) => drafts.findIndex(({ reason }) => reason === draft.reason) === index);
  return distinct.map((draft) => ({ ...draft, atMs: after.atMs }));
}

function isLeaving(flinkJob: JobSnapshot['flinkJob']): boolean {
  const { status, metadata } = flinkJob ?? {};
  const rolling = ['Stopping', 'Starting'].includes(status?.rollout?.state ?? '');
  return rolling || flinkJob === undefined || metadata?.deletionTimestamp !== undefined || status?.ended !== undefined;
}

type Draft = Omit<ViewEvent, 'atMs'>;

function draft(tone: Tone, reason: string, message: string): Draft {
  return { tone, reason, message };
}

function deletedEvent({ spec }: StoredFlinkJob): Draft {
  const state = asksForPurge(spec)
    ? 'its state in checkpoint storage is purged; saving the file makes it again, empty'
    : 'its state in checkpoint storage stays; saving the file makes it again';
  return draft('busy', 'Deleted', `the resource is gone, ${state}`);
}

const rolloutVerbs: Readonly<Record<Rollout['reason'], string>> = {
  Start: 'start',
  Upgrade: 'upgrade',
  Rescale: 'change of the parallelism',
  Restore: 'restore',
  Suspend: 'suspension',
  Resume: 'continuation',
  Restart: 'restart',
  Recover: 'recovery',
  Rollback: 'rollback',
};

function rolloutEvents(before: FlinkJobStatus | undefined, after: FlinkJobStatus | undefined): readonly Draft[] {
  const rollout = after?.rollout;
  if (rollout === undefined) {
    const done = before?.rollout;
    // One that was dropped, for an edit taken back or a deletion, leaves the revision that was.
    const started =
      done?.state === 'Starting' || done?.state === 'Stabilizing' || after?.attempt?.number !== before?.attempt?.number;
    return done !== undefined && started && after !== undefined && after.ended === undefined && after.deletion === undefined
      ? [
          draft(
            'good',
            'RolledOut',
            `the ${rolloutVerbs[done.reason]} is complete: revision ${after.revision ?? '?'} runs as attempt ${after.attempt?.number ?? '?'}`,
          ),
        ]
      : [];
  }
  const same = before?.rollout?.id === rollout.id;
  if (same && stepOf(before?.rollout) === stepOf(rollout)) {
    return [];
  }
  const revision = rollout.revision === undefined ? '' : ` revision ${rollout.revision}`;
  switch (rollout.state) {
    case 'PreFlight':
      return same && rollout.try > 1
        ? []
        : [draft('accent', rollout.reason, `checking${revision || ' the job'} before anything is touched`)];
    case 'Blocked':
      // The error itself is an event of its own.
      return [];
    case 'Stopping': {
      if (rollout.stopMode === undefined) {
        return [draft('busy', 'Stopping', 'the job does not run now; it is given a moment to, so that a savepoint can be taken')];
      }
      const how = rollout.stopMode === 'Cancel' ? 'without a savepoint' : 'with a savepoint';
      const why = rollout.stopReason === undefined ? '' : `: ${rollout.stopReason}`;
      return [draft('accent', 'Stopping', `the running revision is being stopped ${how}${why}`)];
    }
    case 'StopFailed':
      return [draft('bad', 'StopFailed', 'the job could not be stopped; it runs on, and the stop is tried again')];
    case 'Starting':
      return [draft('accent', 'Starting', `${revision.trim() || 'the job'} as attempt ${after?.attempt?.number ?? '?'}`)];
    case 'Stabilizing':
      return [
        draft('accent', 'Stabilizing', `${revision.trim() || 'the job'} runs; its next checkpoints show whether it is stable`),
      ];
  }
}

function stepOf(rollout: Rollout | undefined): string {
  return `${rollout?.state} ${rollout?.try} ${rollout?.stopMode}`;
}

function errorEvents(before: JobSnapshot | undefined, after: JobSnapshot): readonly Draft[] {
  const known = [before?.flinkJob?.status?.error, before?.job?.error].map(errorKey);
  const errors: readonly (Problem | undefined)[] = [after.flinkJob?.status?.error, after.job?.error];
  const fresh = new Map<string, Problem>();
  for (const error of errors) {
    const key = errorKey(error);
    if (error !== undefined && key !== undefined && !known.includes(key)) {
      fresh.set(key, error);
    }
  }
  return [...fresh.values()].map(({ code, message, remedy }) => draft('bad', code, withRemedy(firstLine(message), remedy)));
}

function withRemedy(message: string, remedy: string | undefined): string {
  return remedy === undefined ? message : `${message}${/[.!?]$/.test(message) ? '' : '.'} ${remedy}`;
}

function errorKey(error: { readonly code: string; readonly message: string } | undefined): string | undefined {
  return error === undefined ? undefined : `${error.code} ${error.message}`;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}

/** `leaving`: a JobManager that goes was told to. */
function processEvents(
  before: JobStatusDocument | undefined,
  after: JobStatusDocument | undefined,
  leaving: boolean,
): readonly Draft[] {
  if (before !== undefined && after === undefined) {
    return leaving || isEnding(before.state) ? [] : [draft('busy', 'JobManagerSilent', 'no JobManager answers')];
  }
  if (before === undefined || after === undefined) {
    return [];
  }
  const events: Draft[] = [];
  const replaced = before.podUid !== after.podUid;
  if (replaced && before.attempt.number === after.attempt.number) {
    events.push(draft('busy', 'JobManagerReplaced', `another JobManager runs the job, epoch ${after.epoch ?? 'not open yet'}`));
  }
  const lost = before.taskManagers.registered - after.taskManagers.registered;
  // Those that join a job for the first time are no news.
  const again = before.state === 'Running' || after.restarts > 0;
  if (!replaced && !isEnding(after.state) && (lost > 0 || (lost < 0 && again))) {
    events.push(
      lost > 0
        ? draft('bad', 'TaskManagerLost', `${plural(lost, 'TaskManager')} gone, ${after.taskManagers.registered} left`)
        : draft(
            'plain',
            'TaskManagerJoined',
            `${plural(after.taskManagers.registered, 'TaskManager')} with ${plural(after.taskManagers.slotsTotal, 'slot')}`,
          ),
    );
  }
  return events;
}

function isEnding(state: JobStatusDocument['state']): boolean {
  return state === 'Stopping' || state === 'Finishing' || isTerminal(state);
}

function isTerminal(state: JobStatusDocument['state']): boolean {
  return ['Stopped', 'Finished', 'Failed', 'Canceled', 'Fenced', 'Refused'].includes(state);
}

function jobEvents(before: JobStatusDocument | undefined, after: JobStatusDocument | undefined): readonly Draft[] {
  if (after === undefined) {
    return [];
  }
  const events: Draft[] = [];
  const sameJobManager = before?.podUid === after.podUid;
  if (after.restored !== undefined && !(sameJobManager && before?.restored !== undefined)) {
    events.push(draft(after.restored.source === 'Nothing' ? 'busy' : 'good', 'Restored', describeRestored(after.restored)));
  }
  const stateChanged = !sameJobManager || before?.state !== after.state;
  if (stateChanged && after.state === 'Running') {
    events.push(
      draft(
        'good',
        'Running',
        `${plural(after.vertices.length, 'task')} at parallelism ${after.parallelism}, epoch ${after.epoch ?? '?'}`,
      ),
    );
  } else if (stateChanged && after.state === 'Restarting') {
    const from = after.lastCheckpoint === undefined ? 'from its beginning' : `from checkpoint ${after.lastCheckpoint.id}`;
    events.push(draft('busy', 'Restarting', `it goes on ${from}`));
  }
  const failed = after.checkpointCounts.failed - (sameJobManager ? (before?.checkpointCounts.failed ?? 0) : 0);
  if (failed > 0) {
    events.push(
      draft('busy', 'CheckpointFailed', `${plural(failed, 'checkpoint')} failed, ${after.checkpointCounts.failed} so far`),
    );
  }
  return events;
}

/** `restored` in words, with the one that must never be overlooked in full. */
export function describeRestored(restored: NonNullable<JobStatusDocument['restored']>): string {
  const note = restored.note === undefined ? '' : ` (${restored.note})`;
  if (restored.source === 'Nothing') {
    const why = restored.reason === 'RequestedNone' ? 'as asked: the state that was there is not used' : 'there was no state yet';
    return `started from nothing, ${why}${note}`;
  }
  return `continued from ${restored.source.toLowerCase()} ${restored.path ?? restored.checkpointId ?? ''}${note}`;
}

function operationEvents(before: JobStatusDocument | undefined, after: JobStatusDocument | undefined): readonly Draft[] {
  // What was over before the first look is history, not news.
  if (before === undefined) {
    return [];
  }
  const known = new Map(before.operations.map(({ operationId, state }) => [operationId, state]));
  // A JobManager that has just opened the lineage lists what earlier ones did: history as well.
  const isNews = before.epoch !== undefined && before.epoch === after?.epoch;
  return (after?.operations ?? [])
    .filter(({ operationId, type }) => type === 'Savepoint' && (isNews || known.has(operationId)))
    .filter(({ operationId, state }) => known.get(operationId) !== state)
    .map((operation) => describeSavepoint(operation));
}

function describeSavepoint(operation: OperationStatus): Draft {
  switch (operation.state) {
    case 'InProgress':
      return draft('plain', 'Savepoint', 'a savepoint is being taken');
    case 'Completed':
      return draft('good', 'Savepoint', `savepoint ${operation.checkpointId ?? ''} is complete: ${operation.location ?? ''}`);
    case 'Failed':
      return draft('bad', 'SavepointFailed', operation.error?.message ?? 'no reason was given');
  }
}

function endEvents(before: FlinkJobStatus | undefined, after: FlinkJobStatus | undefined): readonly Draft[] {
  const ended = after?.ended;
  if (ended === undefined || before?.ended?.time === ended.time) {
    return [];
  }
  const checkpoint = ended.checkpointId === undefined ? '' : `, its state is checkpoint ${ended.checkpointId}`;
  return [draft(toneOf(ended.state), ended.state, `the job has ended${checkpoint}`)];
}
