import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import { type Command, currentDocument, currentJobManager, type DecideInput, toMs, toTime, wantsProcesses } from './decision.ts';
import { retryDelayMs } from './limits.ts';
import { policiesOf } from './policies.ts';

type SavepointOnDelete = NonNullable<NonNullable<FlinkJobStatus['deletion']>['savepoint']>;

interface SavepointStep {
  readonly savepoint: SavepointOnDelete | undefined;
  readonly commands: readonly Command[];
}

/**
 * `checkpoints.onDelete: Savepoint`: the job is stopped with one before anything else. Tried again until the deadline, for as long as there is a job that could take it: one that
 * has ended, or whose JobManager is gone with its namespace, has its last completed checkpoint and nothing newer.
 */
export function decideSavepointOnDelete(input: DecideInput, operationId: string): SavepointStep {
  const { status, nowMs } = input;
  const policies = policiesOf(input);
  const known = status.deletion?.savepoint;
  // Once it is settled it stays so, and a policy that comes when processes are being ended comes too late.
  if (known?.state !== 'InProgress' && status.deletion !== undefined) {
    return { savepoint: known, commands: [] };
  }
  if (policies.onDelete !== 'Savepoint') {
    return { savepoint: known && { ...known, state: 'NothingToTake' }, commands: [] };
  }
  const deadlineTime = known?.deadlineTime ?? toTime(nowMs + policies.deleteTimeoutSeconds * 1000);
  const { stopTimeoutSeconds, savepointFormat, deleteTimeoutSeconds } = policies;
  const savepoint: SavepointOnDelete = known ?? {
    ...{ try: 1, deadlineTime, state: 'InProgress', savepointFormat },
    // What is sent under one id stays what it is, whatever the spec says by then.
    stopTimeoutSeconds: Math.min(stopTimeoutSeconds, deleteTimeoutSeconds),
  };
  if (!wantsProcesses(status) || status.attempt?.ranTime === undefined || currentJobManager(status, input.facts) === undefined) {
    return { savepoint: { ...savepoint, state: closedAs(input) ?? 'NothingToTake' }, commands: [] };
  }
  return advance(input, savepoint, operationId);
}

function advance(input: DecideInput, savepoint: SavepointOnDelete, root: string): SavepointStep {
  const { facts, status, nowMs, limits } = input;
  const document = currentDocument(status, facts);
  const closed = closedAs(input);
  if (closed !== undefined) {
    return { savepoint: { ...savepoint, state: closed }, commands: [] };
  }
  const problem = failure(input, savepoint, root) ?? savepoint.problem;
  const begunMs = toMs(savepoint.deadlineTime) - policiesOf(input).deleteTimeoutSeconds * 1000;
  const isComing =
    problem !== undefined || document?.state === 'Running' || document?.state === 'Stopping' || document?.state === 'Stopped';
  const isLate = nowMs >= toMs(savepoint.deadlineTime) || (!isComing && nowMs - begunMs >= limits.notRunningGraceMs);
  if (isLate) {
    return { savepoint: { ...savepoint, state: 'NotTaken', problem: problem ?? timedOut(document?.state) }, commands: [] };
  }
  if (failure(input, savepoint, root) !== undefined) {
    const retryTime = savepoint.retryTime ?? toTime(nowMs + retryDelayMs(limits, savepoint.try));
    const waiting = { ...savepoint, retryTime, problem };
    if (nowMs < toMs(retryTime)) {
      return { savepoint: waiting, commands: [] };
    }
    const { retryTime: _retryTime, ...rest } = savepoint;
    return stop(input, { ...rest, try: savepoint.try + 1, problem }, root);
  }
  return stop(input, savepoint, root);
}

/** Sent until it is seen to be under way. */
function stop(input: DecideInput, savepoint: SavepointOnDelete, root: string): SavepointStep {
  const { status, facts } = input;
  const { stopTimeoutSeconds, savepointFormat } = savepoint;
  const address = currentJobManager(status, facts)?.restAddress;
  const operationId = operationOf(savepoint, root);
  const isKnown = facts.document?.operations.some((operation) => operation.operationId === operationId) === true;
  if (address === undefined || isKnown || currentDocument(status, facts)?.state !== 'Running') {
    return { savepoint, commands: [] };
  }
  const format = savepointFormat === 'Canonical' ? { stateFormat: savepointFormat } : {};
  return {
    savepoint,
    commands: [{ ...{ type: 'StopJob', operationId, address, deadlineSeconds: stopTimeoutSeconds }, ...format }],
  };
}

/** Closed is closed: also a stop that was under way when the deletion came, of an upgrade or of a person, has left the job's state in a savepoint. */
function closedAs({ facts }: DecideInput): 'Taken' | 'NothingToTake' | undefined {
  const closed = facts.document?.closed;
  return closed === undefined ? undefined : closed.reason === 'Finished' ? 'NothingToTake' : 'Taken';
}

function failure({ facts }: DecideInput, savepoint: SavepointOnDelete, root: string): Problem | undefined {
  const operationId = operationOf(savepoint, root);
  const refused = facts.refusals.find((refusal) => refusal.operationId === operationId);
  const operation = facts.document?.operations.find((known) => known.operationId === operationId);
  if (operation?.state === 'Failed') {
    const { code = 'SavepointFailed', message = 'no reason given', remedy } = operation.error ?? {};
    return { code, message, remedy };
  }
  return operation === undefined ? refused?.problem : undefined;
}

function operationOf(savepoint: SavepointOnDelete, root: string): string {
  return `${root}/savepoint/${savepoint.try}`;
}

function timedOut(state: string | undefined): Problem {
  return { code: 'SavepointTimedOut', message: `the job is ${state ?? 'not answering'}, and no savepoint came about in time` };
}
