import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { FlinkJobStatus, Problem } from '../api/flink-job-status.ts';
import type { DefaultsStanding } from '../defaults/choose-defaults.ts';
import type { JobManagerFact, PlatformFacts, RestoreRequest, TerminateRequest } from '../platform/platform.ts';
import type { DecideLimits } from './limits.ts';
import type { DrillFact } from './restorable.ts';
import type { Revision } from './revision.ts';
import type { Move } from './transitions.ts';

/** Everything that a decision is made from. */
export interface DecideInput {
  readonly uid: string;
  readonly generation: number;
  /** `deletionTimestamp` is set. */
  readonly deleting: boolean;
  readonly desired: Desired;
  /** How the job stands to the defaults of its namespace; undefined where there are none. */
  readonly defaults?: DefaultsStanding | undefined;
  /** The revision that `status.revision` names; undefined also when the store has lost it. */
  readonly current: Revision | undefined;
  /** The revision that `status.rollout.revision` names. */
  readonly target: Revision | undefined;
  /** The revision that `status.stable` names. */
  readonly stable: Revision | undefined;
  /** The revision that `status.rolledBack` names. */
  readonly rejected: Revision | undefined;
  /** The annotation says that nothing is to be done. */
  readonly paused: boolean;
  readonly status: FlinkJobStatus;
  readonly facts: Facts;
  readonly limits: DecideLimits;
  readonly nowMs: number;
  /** Unguessable, another one for each decision: becomes the token of an attempt that is decided now. */
  readonly freshToken: string;
}

/** What the spec asks for now. */
export type Desired =
  | { readonly valid: true; readonly revision: Revision }
  | { readonly valid: false; readonly problem: Problem };

export interface Facts extends PlatformFacts {
  /** Of the JobManager of the current attempt and instance; undefined when it does not answer. */
  readonly document: JobStatusDocument | undefined;
  /** The newest drill of its savepoints; undefined while nobody knows. */
  readonly drill?: DrillFact | 'None' | undefined;
  /** Commands of the last pass that were answered with an error that trying again cannot heal. */
  readonly refusals: readonly { readonly operationId: string; readonly problem: Problem }[];
  /** What went wrong in carrying out the last commands, for people; they are tried again. */
  readonly hindrance: Problem | undefined;
}

/**
 * What to do. An `operationId` never means two things; a command that is decided again (because its effect was not seen yet, or the
 * controller died) carries the same one. The caller stores the status before it carries out commands, in order.
 */
export type Command =
  | { readonly type: 'RunPreFlight'; readonly operationId: string; readonly revision: string; readonly restore: RestoreRequest }
  | {
      readonly type: 'StopJob';
      readonly operationId: string;
      readonly address: string;
      readonly deadlineSeconds: number;
      readonly stateFormat?: 'Native' | 'Canonical';
    }
  | { readonly type: 'CancelJob'; readonly operationId: string; readonly address: string }
  | {
      readonly type: 'EnsureJobManager';
      readonly operationId: string;
      readonly revision: string;
      readonly attempt: { readonly number: number; readonly token: string };
      readonly instance: number;
      readonly restore: RestoreRequest;
    }
  | {
      readonly type: 'EnsureTaskManagers';
      readonly operationId: string;
      readonly revision: string;
      readonly attemptNumber: number;
      readonly replicas: number;
    }
  | {
      readonly type: 'Terminate';
      readonly operationId: string;
      readonly which: TerminateRequest['which'];
      readonly graceMs: number;
    }
  /** Delete what the lineage holds. Without `graceSeconds` as long as a purge waits by itself. */
  | {
      readonly type: 'RunPurge';
      readonly operationId: string;
      readonly revision: string;
      /** As a start's: above that of every start of the job. */
      readonly attemptNumber: number;
      readonly graceSeconds?: number;
    }
  /** The job has finished long enough ago: delete its resource. */
  | { readonly type: 'DeleteResource'; readonly operationId: string }
  /** The processes are gone, or the deadline is over: let the resource go. */
  | {
      readonly type: 'Release';
      readonly operationId: string;
      readonly orphaned: boolean;
      /** Why its lineage stays although it should not, and in which checkpoint storage. */
      readonly unpurged: Problem | undefined;
      readonly checkpointStorage?: string | undefined;
      /** Why there is no savepoint although there should be one. */
      readonly unsaved?: Problem | undefined;
    };

export interface Decision {
  readonly status: FlinkJobStatus;
  readonly commands: readonly Command[];
  /** How the status came to be, row by row of `lifecycle`. */
  readonly moves: readonly Move[];
  /** Look again after this time even if nothing is heard. */
  readonly requeueAfterMs: number;
}

/**
 * `uid/rollout/step/try` (lineage protocol, rule 12). Where the lineage keeps the outcome, the step has the attempt that it is asked of: a status that somebody emptied, or put
 * back, counts its rollouts again, and an old outcome must not pass for the answer. Attempt numbers never come again.
 */
export function rolloutOperationId(uid: string, rollout: { readonly id: number; readonly try: number }, step: string): string {
  return `${uid}/r${rollout.id}/${step}/${rollout.try}`;
}

export function attemptOperationId(uid: string, attemptNumber: number, step: string): string {
  return `${uid}/a${attemptNumber}/${step}`;
}

/** Of the pre-flight whose outcome is awaited: that of a new revision, or of the one to go back to while the new one has to become stable. */
export function currentPreFlightId({ rollout }: FlinkJobStatus): string | undefined {
  return rollout?.state === 'PreFlight' || rollout?.state === 'Stabilizing' ? rollout.operationId : undefined;
}

/** The content of a revision that the status names. */
export function revisionNamed(input: DecideInput, name: string | undefined): Revision | undefined {
  const known = [input.desired.valid ? input.desired.revision : undefined, input.current, input.target, input.stable];
  return known.find((revision) => revision !== undefined && revision.name === name);
}

/** The process that the current attempt's current instance is. */
export function currentJobManager(status: FlinkJobStatus, facts: PlatformFacts): JobManagerFact | undefined {
  const { attempt } = status;
  return attempt && facts.jobManagers.find((fact) => fact.attemptNumber === attempt.number && fact.instance === attempt.instance);
}

/** What the JobManager of the status's attempt says; what an attempt before it said is no news. */
export function currentDocument(status: FlinkJobStatus, facts: Facts): JobStatusDocument | undefined {
  const { document } = facts;
  const isCurrent = document?.attempt.number === status.attempt?.number && document?.attempt.token === status.attempt?.token;
  return isCurrent && wantsProcesses(status) ? document : undefined;
}

/** Where the job has its state since it was started last; undefined where neither the start nor its revision is known. */
export function currentStorage({ status, current }: Pick<DecideInput, 'status' | 'current'>): string | undefined {
  return status.attempt?.checkpointStorage ?? current?.spec.state.checkpointStorage;
}

/** Whether the processes of the current attempt should exist. */
export function wantsProcesses(status: FlinkJobStatus): boolean {
  return status.attempt !== undefined && status.ended === undefined;
}

export function toTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** Milliseconds of a status time; undefined stays undefined. */
export function toMs(time: string): number {
  return Date.parse(time);
}
