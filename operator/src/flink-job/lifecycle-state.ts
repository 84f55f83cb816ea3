import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import type { Command } from './decision.ts';
import type { LifecycleState, Move, RestState } from './transitions.ts';

/** What became of a status in one step: at most one move along the table. Commands follow from the status as it is after it. */
export interface Step {
  readonly status: FlinkJobStatus;
  readonly commands: readonly Command[];
  readonly move?: Move | undefined;
}

/** Nothing to do now. */
export function rest(status: FlinkJobStatus, commands: readonly Command[] = []): Step {
  return { status, commands };
}

export function lifecycleState(status: FlinkJobStatus): LifecycleState {
  const { deletion, rollout } = status;
  if (deletion !== undefined) {
    if (deletion.purge !== undefined) {
      return 'Purging';
    }
    return deletion.savepoint?.state === 'InProgress' ? 'Saving' : 'Ending';
  }
  return rollout?.state ?? restState(status);
}

/** The state beneath a rollout, and after it. */
export function restState({ attempt, ended }: FlinkJobStatus): RestState {
  return ended?.state ?? (attempt === undefined ? 'New' : 'Steady');
}
