import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import type { TransitionEvent } from '../flink-job/transition-events.ts';

/** The news between two statuses of a FlinkSavepoint, for `kubectl describe`. Pure. */
export function savepointEvents(before: FlinkSavepointStatus, after: FlinkSavepointStatus): readonly TransitionEvent[] {
  return [...stateEvents(before, after), ...drillEvents(before, after)];
}

function stateEvents(before: FlinkSavepointStatus, after: FlinkSavepointStatus): readonly TransitionEvent[] {
  const { state, problem, path, step } = after;
  if (before.state === state && before.step?.operationId === step?.operationId) {
    return [];
  }
  switch (state) {
    case 'Pending':
      return problem === undefined || step === undefined ? [] : [warning('Take', 'SavepointTryFailed', sentenceOf(problem))];
    case 'InProgress':
      return before.state === state ? [] : [normal('Take', 'SavepointStarted', `a savepoint is being made by the ${step?.by}`)];
    case 'Completed':
      return [normal('Take', 'SavepointCompleted', `it is in storage: ${path}`)];
    case 'Failed':
    case 'Abandoned':
      return [warning('Take', `Savepoint${state}`, sentenceOf(problem))];
    case 'Deleting':
      return path === undefined || before.state === state
        ? []
        : [normal('Delete', 'SavepointDeleting', `${path} is being dealt with`)];
  }
}

function drillEvents(before: FlinkSavepointStatus, after: FlinkSavepointStatus): readonly TransitionEvent[] {
  const { drill } = after;
  if (drill?.result === undefined || drill.endedTime === before.drill?.endedTime) {
    return [];
  }
  switch (drill.result) {
    case 'Restorable':
      return [normal('Drill', 'DrillPassed', 'it can be restored: all of it was read')];
    case 'NotRestorable':
      return [warning('Drill', 'NotRestorable', sentenceOf(drill.problem))];
    case 'GivenUp':
      return [warning('Drill', 'DrillGivenUp', sentenceOf(drill.problem))];
  }
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
