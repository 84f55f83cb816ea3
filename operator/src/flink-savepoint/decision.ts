import type { SavepointTask } from '@flinkjob/runtime/process-config';
import type { JobStatusDocument, OperationStatus } from '@flinkjob/runtime/rest';
import type { Problem } from '../api/flink-job-status.ts';
import type { FlinkSavepointSpec } from '../api/flink-savepoint-spec.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import type { SavepointTaskFact } from '../platform/savepoint-tasks.ts';
import type { SavepointLimits } from './limits.ts';

/** Everything that is decided about one FlinkSavepoint is made from this. */
export interface SavepointInput {
  readonly uid: string;
  readonly generation: number;
  readonly createdAtMs: number;
  /** `deletionTimestamp` is set. */
  readonly deleting: boolean;
  readonly spec: { readonly ok: true; readonly value: FlinkSavepointSpec } | { readonly ok: false; readonly problem: Problem };
  readonly status: FlinkSavepointStatus;
  /** Its FlinkJob; undefined when there is none of that name. */
  readonly job: JobFacts | undefined;
  /** The name of the savepoint of the same job that has to end first. */
  readonly waitsFor: string | undefined;
  /** Another FlinkSavepoint, which stays, is the same savepoint in storage: of a job that is down all name what it was closed with. */
  readonly isNamedElsewhere: boolean;
  /** Of all that the schedule has made it is the last, which says what times are over. */
  readonly isLastOfSchedule: boolean;
  /** The time of the drill schedule that asks for a drill of this one. */
  readonly drillScheduleTime: string | undefined;
  /** Of the tasks that the status names. */
  readonly tasks: readonly SavepointTaskFact[];
  /** Commands of the last pass that were answered with an error that trying again cannot heal. */
  readonly refusals: readonly { readonly operationId: string; readonly problem: Problem }[];
  readonly limits: SavepointLimits;
  readonly nowMs: number;
}

export interface JobFacts {
  readonly uid: string;
  readonly deleting: boolean;
  /** Its deletion deletes its lineage, savepoints included. */
  readonly purges: boolean;
  /** One word, for messages. */
  readonly state: string;
  /** Ended: no process of it should be there. Closed: and its lineage was closed, as far as the status knows. Up: there should be a JobManager. */
  readonly presence: 'Up' | 'Ended' | 'Closed';
  /** What its JobManager says; undefined when it does not answer. */
  readonly jobManager: { readonly address: string; readonly document: JobStatusDocument } | undefined;
  /** Whether a task can be run for it: there is a spec that says how. */
  readonly canRunTasks: boolean;
  readonly checkpointTimeoutMs: number;
  /** Where its lineage is now; a job may have been moved. Undefined while nothing says where. */
  readonly lineageUrl: string | undefined;
}

/** An `operationId` never means two things; a command that is decided again carries the same one. The status is stored before. */
export type SavepointCommand =
  | {
      readonly type: 'Take';
      readonly operationId: string;
      readonly address: string;
      readonly stateFormat: 'Native' | 'Canonical';
    }
  | { readonly type: 'Release'; readonly operationId: string; readonly address: string; readonly location: string }
  | { readonly type: 'RunTask'; readonly operationId: string; readonly task: SavepointTask }
  /** Deletes the resource, which is then dealt with as anybody's deletion. */
  | { readonly type: 'Remove' }
  /** Lets the resource go. `orphaned`: what stays in storage although it should not. */
  | { readonly type: 'Forget'; readonly orphaned: Problem | undefined };

/** What one part of a decision comes to; the parts follow one another, each on the status of the one before. */
export interface SavepointStep {
  readonly status: FlinkSavepointStatus;
  readonly commands: readonly SavepointCommand[];
  /** When time alone changes something. */
  readonly wakeAtMs?: number | undefined;
}

export interface SavepointDecision {
  readonly status: FlinkSavepointStatus;
  readonly commands: readonly SavepointCommand[];
  /** When to look again even if nothing is heard. */
  readonly againAtMs: number;
}

type StepName = 'take' | 'find' | 'import' | 'drill' | 'dispose';

/** `uid/step/try` (lineage protocol, rule 12). Of a scheduled savepoint the name is made of the schedule time, so there is one uid for each time. */
export function operationIdOf(uid: string, step: StepName, count: number | string): string {
  return `${uid}/${step}/${count}`;
}

export function operationOf(job: JobFacts | undefined, operationId: string): OperationStatus | undefined {
  return job?.jobManager?.document.operations.find((each) => each.operationId === operationId);
}

export function taskOf({ tasks }: Pick<SavepointInput, 'tasks'>, operationId: string): SavepointTaskFact | undefined {
  return tasks.find((each) => each.operationId === operationId);
}

export function toTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Nothing is taken any more, and nothing came of it or everything did. */
export function isTerminal({ state }: FlinkSavepointStatus): boolean {
  return state === 'Completed' || state === 'Failed' || state === 'Abandoned';
}

/** Ids of the tasks whose end is waited for. */
export function awaitedTasks({ state, step, drill, deletion }: FlinkSavepointStatus): readonly string[] {
  return [
    ...(state === 'InProgress' && step?.by === 'Task' ? [step.operationId] : []),
    ...(drill !== undefined && drill.result === undefined ? [drill.operationId] : []),
    ...(deletion?.by === 'Task' ? [deletion.operationId] : []),
  ];
}

/** Given up, or found to be impossible. A step of which nobody has said what came stays: it may have left something behind. */
export function ended(
  status: FlinkSavepointStatus,
  how: { readonly state: 'Failed' | 'Abandoned'; readonly nowMs: number; readonly problem: FlinkSavepointStatus['problem'] },
): FlinkSavepointStatus {
  const { step, ...rest } = status;
  const open = unheardOf(status) === undefined ? {} : { step };
  return { ...rest, ...open, state: how.state, completedTime: toTime(how.nowMs), problem: how.problem };
}

/** The savepoint that a JobManager was asked for without anybody having heard what came of it: going now would leave one that nobody knows of. */
export function unheardOf({ step, state }: FlinkSavepointStatus): string | undefined {
  const isOpen = state !== 'Pending' && step?.retryTime === undefined;
  return step?.asked ?? (isOpen && step?.by === 'JobManager' ? step.operationId : undefined);
}
