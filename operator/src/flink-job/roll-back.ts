import type { FlinkJobStatus, Problem, Rollout } from '../api/flink-job-status.ts';
import { isSameStorage } from '../api/storage-url.ts';
import type { RestoreRequest } from '../platform/platform.ts';
import { newRollout } from './choose-rollout.ts';
import { currentDocument, currentStorage, type DecideInput, revisionNamed, toTime, wantsProcesses } from './decision.ts';
import { rest, type Step } from './lifecycle-state.ts';
import { differsInNonceOnly, policiesOf } from './policies.ts';
import { madeUpToken } from './restore-request.ts';
import { endRollout } from './rollout-history.ts';
import { diffRevisions } from './spec-diff.ts';

// Going back to the last stable revision (lineage protocol, rule 13).

type Leaving = 'Starting' | 'Stabilizing' | 'Blocked';

/** Whether there is another revision to go back to, which would start where the present one would. */
export function isBackAvailable(input: DecideInput, rollout: Rollout): boolean {
  const { stable, status } = input;
  const target = revisionNamed(input, rollout.revision);
  const { mode, allowRewind } = policiesOf(input).rollback;
  if (mode === 'Manual' || stable === undefined || target === undefined || rollout.reason === 'Rollback') {
    return false;
  }
  if (stable.name === target.name || diffRevisions(stable, target).action === 'None' || differsInNonceOnly(stable, target)) {
    return false;
  }
  // In another storage there is another lineage: there the old revision knows nothing of what the new one has done.
  const isElsewhere = !isSameStorage(stable.spec.state.checkpointStorage, target.spec.state.checkpointStorage);
  return !isElsewhere || allowRewind || (status.rollbackTarget?.check === 'NothingCommitted' && isSeenNow(input));
}

/** What was seen of the attempt is all that there is: it has never run, it is over, or its JobManager is asked in this very pass. */
function isSeenNow({ status, facts }: DecideInput): boolean {
  return status.attempt?.ranTime === undefined || status.ended !== undefined || currentDocument(status, facts) !== undefined;
}

/** What the newer revision has completed in another storage since its way back began, which the old one would know nothing of. */
export function leftBehind(input: DecideInput, rollout: Rollout): Problem | undefined {
  const { status } = input;
  const target = revisionNamed(input, rollout.revision);
  const { rollbackTarget, lastCheckpoint } = status;
  const [from, to] = [currentStorage(input), target?.spec.state.checkpointStorage];
  const isElsewhere = from === undefined || to === undefined ? from !== to : !isSameStorage(from, to);
  const isLeft = rollbackTarget !== undefined && rollbackTarget.check !== 'NothingCommitted' && isElsewhere;
  if (rollout.reason !== 'Rollback' || !isLeft || policiesOf(input).rollback.allowRewind) {
    return undefined;
  }
  return {
    code: 'StateWouldBeLost',
    message: `checkpoint ${lastCheckpoint?.id} was completed in ${from}, and revision ${rollout.revision} has its state in ${to}`,
  };
}

/** The revision of the rollout is given up for the last stable one. `mustStop`: it is of no use as it is. */
export function notStable(
  input: DecideInput,
  from: Leaving,
  why: { readonly problem: Problem; readonly mustStop: boolean },
): Step {
  const { status, nowMs, generation, stable } = input;
  const { rollout, rollbackTarget } = status;
  if (rollout?.revision === undefined || stable === undefined || !isBackAvailable(input, rollout)) {
    return rest(late(status, why.problem));
  }
  const { allowRewind } = policiesOf(input).rollback;
  const isUnreadableNow = rollbackTarget?.check === 'Unreadable' && !allowRewind;
  // What runs, only not well enough, is not given up for a way back that nobody has proven.
  const isUnproven = rollbackTarget?.check === 'Unknown' && !allowRewind;
  if ((isUnreadableNow || isUnproven) && !why.mustStop) {
    return rest(late(status, why.problem));
  }
  const problem: Problem = {
    code: 'RolledBack',
    message: `revision ${rollout.revision} was not stable (${why.problem.message}); the last stable one, ${stable.name}, takes its place`,
    remedy: 'Correct the spec. To try the same again, set another spec.restartNonce.',
  };
  const ended = endRollout(status, { outcome: 'RolledBack', nowMs, problem: why.problem });
  const rolledBack = { revision: rollout.revision, generation, time: toTime(nowMs), problem };
  const next = newRollout({ ...input, status: { ...ended, rolledBack } }, { reason: 'Rollback', revision: stable });
  if (isUnreadableNow && from === 'Stabilizing') {
    return rollbackImpossible({ ...input, status: next.status }, from, rollbackTarget?.problem ?? why.problem);
  }
  return { ...next, move: { from, event: 'NotStable', to: 'PreFlight' } };
}

/** It stays as it is, and says so. */
function late(status: FlinkJobStatus, problem: Problem): FlinkJobStatus {
  return status.rollout === undefined ? status : { ...status, rollout: { ...status.rollout, problem } };
}

/** Neither revision can go on: the job stops, and people have to say what is to be given up. */
export function rollbackImpossible(input: DecideInput, from: 'Stabilizing' | 'PreFlight', unreadable: Problem): Step {
  const { status, nowMs, generation } = input;
  const path = status.rollbackTarget?.rewindPath;
  const givenUp = path === undefined ? 'what it has completed' : `what it has completed and goes back to ${path}`;
  const problem: Problem = {
    code: 'RollbackImpossible',
    message: `revision ${status.rolledBack?.revision} was not stable, and the last stable one cannot read its state: ${unreadable.message}`,
    remedy: `Correct the revision and apply it; or set spec.upgrade.rollback.allowRewind, which gives up ${givenUp}.`,
  };
  const next = endRollout(status, { outcome: 'Failed', nowMs, problem: unreadable });
  const checked = next.rollbackTarget && { ...next.rollbackTarget, check: 'Unreadable' as const, problem: unreadable };
  const ended = { state: 'Failed' as const, time: toTime(nowMs), generation, problem };
  return {
    status: { ...next, rollbackTarget: checked, ended },
    commands: [],
    move: { from, event: 'RollbackImpossible', to: 'Failed' },
  };
}

/** Said once for this rollback: its token is its own (lineage protocol, rule 6). */
export function rewindRequest({ status, uid }: DecideInput, rollout: Rollout): RestoreRequest | undefined {
  const path = status.rollbackTarget?.rewindPath;
  return path === undefined ? undefined : { from: 'Path', path, token: madeUpToken('rollback', { status, uid }, rollout.id) };
}

/** What the restore planner says of state that a job cannot read; all else may pass. */
export function isUnreadable({ code }: Problem): boolean {
  return unreadableCodes.has(code);
}

const unreadableCodes: ReadonlySet<string> = new Set([
  ...['PendingCommittablesDropped', 'OperatorMissingInJob', 'OperatorKindChanged', 'PositionTypeChanged', 'StateBackendChanged'],
  ...['MaxParallelismChanged', 'KeyGroupHashChanged', 'KeyTypeChanged', 'TimersMissingInJob', 'StateMissingInJob'],
  ...['StateTypeChanged', 'StateMissingInSnapshot', 'StateWouldBeLost'],
]);

/** Whether the present revision has completed a checkpoint that the last stable one has not seen. */
export function foldRollbackTarget(status: FlinkJobStatus): FlinkJobStatus {
  const { rollbackTarget, attempt, revision, lastCheckpoint } = status;
  if (rollbackTarget === undefined || revision === rollbackTarget.revision) {
    return status;
  }
  const rewindPath = rollbackTarget.rewindPath ?? attempt?.restoredPath;
  const isNew = (lastCheckpoint?.id ?? 0) > rollbackTarget.checkpointId;
  const check = rollbackTarget.check === 'NothingCommitted' && isNew ? 'Unknown' : rollbackTarget.check;
  return { ...status, rollbackTarget: { ...rollbackTarget, check, ...(rewindPath === undefined ? {} : { rewindPath }) } };
}

/** Asks, while the new revision runs, whether the old one could read what it makes: an answer before anyone needs it. */
export function wantsRollbackCheck({ status }: DecideInput): boolean {
  return status.rollbackTarget?.check === 'Unknown' && wantsProcesses(status);
}
