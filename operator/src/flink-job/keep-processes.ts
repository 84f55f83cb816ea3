import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import type { ProcessState } from '../platform/platform.ts';
import { attemptOperationId, type Command, currentJobManager, type DecideInput, toMs, wantsProcesses } from './decision.ts';
import { fromRestoreFields } from './restore-request.ts';
import { replaceUnregistered } from './unregistered-task-managers.ts';

/** Processes as the status wants them: what is missing is started, what belongs to the past is ended. */
export function keepProcesses(input: DecideInput): { readonly status: FlinkJobStatus; readonly commands: readonly Command[] } {
  const { status } = input;
  const address = wantsProcesses(status) ? currentJobManager(status, input.facts)?.restAddress : undefined;
  return {
    status: { ...status, jobManagerAddress: address },
    commands: commandsFor(input),
  };
}

function commandsFor(input: DecideInput): readonly Command[] {
  const { status } = input;
  if (wantsProcesses(status)) {
    return [...endPast(input), ...replaceUnregistered(input), ...startMissing(input)];
  }
  // With nothing on record they are of a status that was lost. What runs is not touched before its successor is proven; that fences and ends it.
  return status.attempt === undefined && status.ended === undefined ? [] : endAll(input);
}

function startMissing({ uid, status, facts, nowMs }: DecideInput): readonly Command[] {
  const { attempt, revision } = status;
  if (attempt === undefined || revision === undefined) {
    return [];
  }
  const commands: Command[] = [];
  if (shouldStart(currentJobManager(status, facts)?.process, nowMs)) {
    commands.push({
      type: 'EnsureJobManager',
      operationId: attemptOperationId(uid, attempt.number, `job-manager-${attempt.instance}`),
      revision,
      attempt: { number: attempt.number, token: attempt.token },
      instance: attempt.instance,
      restore: fromRestoreFields(attempt),
    });
  }
  const ours = facts.taskManagers.filter((fact) => fact.attemptNumber === attempt.number);
  const indexes = Array.from({ length: attempt.taskManagers }, (_, index) => index);
  if (indexes.some((index) => shouldStart(ours.find((fact) => fact.index === index)?.process, nowMs))) {
    commands.push({
      type: 'EnsureTaskManagers',
      operationId: attemptOperationId(uid, attempt.number, 'task-managers'),
      revision,
      attemptNumber: attempt.number,
      replicas: attempt.taskManagers,
    });
  }
  return commands;
}

function shouldStart(process: ProcessState | undefined, nowMs: number): boolean {
  return process === undefined || (process.state === 'BackOff' && nowMs >= process.untilMs);
}

/** Earlier attempts at once: the new attempt fences them anyway. Replaced JobManagers of this attempt when their grace is over. */
function endPast({ uid, status, facts, limits, nowMs, current }: DecideInput): readonly Command[] {
  const { attempt } = status;
  if (attempt === undefined) {
    return [];
  }
  const commands: Command[] = [];
  if ([...facts.jobManagers, ...facts.taskManagers].some((fact) => fact.attemptNumber < attempt.number)) {
    commands.push({
      type: 'Terminate',
      operationId: attemptOperationId(uid, attempt.number, 'end-earlier-attempts'),
      which: { type: 'AttemptsBefore', attemptNumber: attempt.number },
      graceMs: limits.terminateGraceMs,
    });
  }
  const replaced = facts.jobManagers.filter((fact) => fact.attemptNumber === attempt.number && fact.instance < attempt.instance);
  // Who holds the one port that is allowed stands in the way of its replacement.
  const graceMs = current?.spec.jobManager.restPort === undefined ? limits.replacedGraceMs : 0;
  const graceOver = nowMs - toMs(attempt.instanceTime ?? attempt.startedTime) >= graceMs;
  const dead = replaced.length > 0 && replaced.every((fact) => fact.process.state !== 'Alive');
  if (replaced.length > 0 && (graceOver || dead)) {
    commands.push({
      type: 'Terminate',
      operationId: attemptOperationId(uid, attempt.number, `end-instances-before-${attempt.instance}`),
      which: { type: 'InstancesBefore', attemptNumber: attempt.number, instance: attempt.instance },
      graceMs: 0,
    });
  }
  return commands;
}

function endAll({ uid, status, facts, limits }: DecideInput): readonly Command[] {
  if (facts.jobManagers.length + facts.taskManagers.length === 0) {
    return [];
  }
  const operationId = status.attempt === undefined ? `${uid}/end-all` : attemptOperationId(uid, status.attempt.number, 'end-all');
  return [{ type: 'Terminate', operationId, which: { type: 'All' }, graceMs: limits.terminateGraceMs }];
}
