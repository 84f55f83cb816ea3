import { type Condition, findCondition } from '../api/conditions.ts';
import type { Ended, FlinkJobStatus, PastRollout, Problem, Rollout } from '../api/flink-job-status.ts';

/** What `kubectl describe` says about a FlinkJob, and what alerts are made of. */
export interface TransitionEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  /** What was being done. */
  readonly action: string;
  readonly note: string;
}

/**
 * The news between two statuses. Pure, and made of what is stored: a controller that dies after storing a status loses the events of that one step, and none comes
 * twice. Notes hold neither times nor counts where the same may happen again, so that repetitions are counted as one event.
 */
export function transitionEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  return [
    ...deletionEvents(before, after),
    ...rolloutEvents(before, after),
    ...attemptEvents(before, after),
    ...endEvents(before, after),
    ...checkpointEvents(before, after),
    ...errorEvents(before, after),
  ];
}

function rolloutEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const [was, is] = [before.rollout, after.rollout];
  const over = endedRollouts(before, after).flatMap((past) => overEvent(past, after));
  if (is === undefined || (was?.id === is.id && was.state === is.state)) {
    return over;
  }
  return [...over, enteredEvent(is, after)];
}

/** Oldest first. */
function endedRollouts(before: FlinkJobStatus, after: FlinkJobStatus): readonly PastRollout[] {
  const known = new Set(before.history?.map(({ id }) => id));
  return (after.history ?? []).filter(({ id }) => !known.has(id)).reverse();
}

function overEvent(past: PastRollout, after: FlinkJobStatus): readonly TransitionEvent[] {
  const { outcome, reason: action, revision, problem } = past;
  switch (outcome) {
    case 'Completed':
      return after.ended === undefined ? [completedEvent(past, after)] : [];
    case 'RolledBack':
      return [warning(action, 'RolledBack', `revision ${revision} was not stable: ${sentenceOf(problem)}`)];
    case 'Superseded':
      return [normal(action, 'Superseded', `another spec came before the ${action.toLowerCase()} was complete`)];
    // How the job ended is told by itself.
    case 'Failed':
      return [];
  }
}

function enteredEvent(rollout: Rollout, { attempt, revision }: FlinkJobStatus): TransitionEvent {
  const { state, reason: action, problem } = rollout;
  switch (state) {
    case 'PreFlight':
      return normal(action, 'PreFlight', `proving that revision ${rollout.revision} can start, before anything is touched`);
    case 'Blocked':
      return warning(action, 'RolloutBlocked', `revision ${rollout.revision} cannot start: ${sentenceOf(problem)}`);
    case 'Stopping':
      return normal(
        action,
        'Stopping',
        `stopping revision ${revision}${rollout.stopMode === 'Savepoint' ? ' with a savepoint' : ''}`,
      );
    case 'StopFailed':
      return warning(action, 'StopFailed', `revision ${revision} was not stopped and runs on: ${sentenceOf(problem)}`);
    case 'Starting':
      return normal(
        action,
        'Starting',
        `starting revision ${rollout.revision}${attempt === undefined ? '' : `, attempt ${attempt.number}`}`,
      );
    case 'Stabilizing':
      return normal(action, 'Stabilizing', `revision ${rollout.revision} runs, and has to complete checkpoints to be stable`);
  }
}

function completedEvent({ reason: action }: PastRollout, { revision, attempt, restored }: FlinkJobStatus): TransitionEvent {
  const state = restored === undefined ? '' : `: ${restored}`;
  return normal(action, 'RolloutCompleted', `revision ${revision} is stable as attempt ${attempt?.number}${state}`);
}

function attemptEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const [was, is] = [before.attempt, after.attempt];
  if (was === undefined || is === undefined || was.number !== is.number) {
    return [];
  }
  return [
    ...(is.instance > was.instance
      ? [
          warning(
            'Recover',
            'JobManagerReplaced',
            `the JobManager of attempt ${is.number} did not answer; another one takes over`,
          ),
        ]
      : []),
    ...(after.restarts > before.restarts
      ? [warning('Recover', 'JobRestarted', `the tasks of attempt ${is.number} failed and began again from the last checkpoint`)]
      : []),
  ];
}

function endEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const { ended } = after;
  if (ended === undefined || before.ended?.time === ended.time) {
    return [];
  }
  const wished: readonly Ended['state'][] = ['Suspended', 'Finished'];
  const from = ended.checkpointId === undefined ? '' : `; its last checkpoint is ${ended.checkpointId}`;
  return [
    wished.includes(ended.state)
      ? normal('Run', `Job${ended.state}`, `the job is ${ended.state.toLowerCase()}${from}`)
      : warning('Run', `Job${ended.state}`, ended.problem === undefined ? `the job has ended${from}` : sentenceOf(ended.problem)),
  ];
}

/** Checkpoints that fail or are late, by the condition, and that they are well again. While the job does not run and none has failed it is Unknown, which is no news. */
function checkpointEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const [was, is] = [before, after].map(({ conditions }) => findCondition(conditions, 'CheckpointFresh'));
  if (is === undefined || was?.reason === is.reason) {
    return [];
  }
  if (isCheckpointTrouble(is)) {
    return [warning('Checkpoint', is.reason, is.message)];
  }
  return isCheckpointTrouble(was) && is.status === 'True' ? [normal('Checkpoint', is.reason, is.message)] : [];
}

function isCheckpointTrouble(condition: Condition | undefined): boolean {
  return condition?.reason === 'CheckpointStale' || condition?.reason === 'CheckpointFailed';
}

function deletionEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const begun = before.deletion === undefined && after.deletion !== undefined;
  const failed = news(before.deletion?.purge?.problem, after.deletion?.purge?.problem);
  return [
    ...(begun ? [normal('Delete', 'Deleting', 'ending the processes of the job')] : []),
    ...(failed === undefined ? [] : [warning('Delete', 'PurgeFailed', sentenceOf(failed))]),
  ];
}

/** Whatever else is wrong now: a spec that cannot be used, an image that cannot be pulled, a pod that has no place. */
function errorEvents(before: FlinkJobStatus, after: FlinkJobStatus): readonly TransitionEvent[] {
  const error = news(before.error, after.error);
  const told = [after.rollout?.problem, after.ended?.problem, after.deletion?.purge?.problem];
  const isTold = error !== undefined && told.some((problem) => problem?.message === error.message);
  return error === undefined || isTold ? [] : [warning('Reconcile', error.code, sentenceOf(error))];
}

function news(before: Problem | undefined, after: Problem | undefined): Problem | undefined {
  return before?.code === after?.code && before?.message === after?.message ? undefined : after;
}

function sentenceOf(problem: Problem | undefined): string {
  return problem === undefined ? 'no reason is known' : [problem.message, problem.remedy].filter(Boolean).join('. ');
}

function normal(action: string, reason: string, note: string): TransitionEvent {
  return { type: 'Normal', reason, action, note };
}

function warning(action: string, reason: string, note: string): TransitionEvent {
  return { type: 'Warning', reason, action, note };
}
