import { withBoundedMessages } from '../api/bounded-messages.ts';
import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointStatus, SavepointCondition } from '../api/flink-savepoint-status.ts';
import { type SavepointInput, toTime } from './decision.ts';

type Verdict = Pick<SavepointCondition, 'status' | 'reason' | 'message'>;

/** Conditions, made of the rest of the status; a time moves only when its status does. */
export function describeSavepoint(input: SavepointInput): FlinkSavepointStatus {
  const { status, generation, nowMs } = input;
  const completed = completedVerdict(status);
  const verdicts: readonly (readonly [SavepointCondition['type'], Verdict])[] = [
    ['Completed', completed],
    ['Restorable', restorableVerdict(status)],
    ['Ready', { ...completed, status: completed.status === 'True' && status.state !== 'Deleting' ? 'True' : 'False' }],
    ['Reconciling', reconcilingVerdict(status)],
    ['Stalled', stalledVerdict(status)],
  ];
  const conditions = verdicts.map(([type, verdict]): SavepointCondition => {
    const before = status.conditions.find((condition) => condition.type === type);
    const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : toTime(nowMs);
    return { type, ...verdict, lastTransitionTime, observedGeneration: generation };
  });
  return withBoundedMessages({ ...status, conditions, observedGeneration: generation });
}

function completedVerdict({ state, path, problem }: FlinkSavepointStatus): Verdict {
  if (path !== undefined) {
    return { status: 'True', reason: 'Completed', message: `It is in storage: ${path}` };
  }
  return state === 'Failed' || state === 'Abandoned'
    ? { status: 'False', reason: problem?.code ?? state, message: explain(problem) }
    : { status: 'False', reason: state, message: problem === undefined ? 'It is under way.' : explain(problem) };
}

function restorableVerdict({ drill, path }: FlinkSavepointStatus): Verdict {
  if (path === undefined || drill === undefined) {
    return { status: 'Unknown', reason: 'NotDrilled', message: 'No restore drill has been made of it.' };
  }
  switch (drill.result) {
    case 'Restorable': {
      const rows = `${drill.rowCount ?? 0} rows in ${drill.fileCount ?? 0} files were read`;
      return { status: 'True', reason: 'DrillPassed', message: `A restore was planned with the graph of the job, and ${rows}.` };
    }
    case 'NotRestorable':
      return { status: 'False', reason: drill.problem?.code ?? 'DrillFailed', message: explain(drill.problem) };
    case 'GivenUp':
      return { status: 'Unknown', reason: 'DrillGivenUp', message: explain(drill.problem) };
    case undefined:
      return { status: 'Unknown', reason: 'DrillRunning', message: 'It is being read.' };
  }
}

function reconcilingVerdict({ state, drill }: FlinkSavepointStatus): Verdict {
  const drilling = drill !== undefined && drill.result === undefined;
  return state === 'Pending' || state === 'InProgress' || state === 'Deleting' || drilling
    ? { status: 'True', reason: drilling ? 'DrillRunning' : state, message: 'Something is under way.' }
    : { status: 'False', reason: state, message: 'Nothing is under way.' };
}

function stalledVerdict({ state, problem }: FlinkSavepointStatus): Verdict {
  return state === 'Failed' || state === 'Abandoned'
    ? { status: 'True', reason: problem?.code ?? state, message: explain(problem) }
    : { status: 'False', reason: 'NotStalled', message: 'Nobody has to do anything.' };
}

function explain(problem: Problem | undefined): string {
  return problem === undefined ? 'No reason is known.' : [problem.message, problem.remedy].filter(Boolean).join('. ');
}
