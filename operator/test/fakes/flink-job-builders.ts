import type { PlanResult } from '@flinkjob/runtime/process-config';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { FlinkJobSpec, type FlinkJobSpecInput } from '../../src/api/flink-job-spec.ts';
import { buildRevision } from '../../src/flink-job/build-revision.ts';
import type { Revision } from '../../src/flink-job/revision.ts';

/** Things with sensible content, and what a test cares about on top. */

export interface SpecChoices {
  readonly job?: Partial<FlinkJobSpecInput['job']>;
  readonly upgrade?: FlinkJobSpecInput['upgrade'];
  readonly restore?: FlinkJobSpecInput['restore'];
  readonly taskManager?: FlinkJobSpecInput['taskManager'];
  readonly jobManager?: FlinkJobSpecInput['jobManager'];
  readonly checkpointStorage?: string;
  readonly checkpoints?: FlinkJobSpecInput['checkpoints'];
  readonly image?: string;
  readonly podTemplate?: FlinkJobSpecInput['podTemplate'];
  readonly recovery?: FlinkJobSpecInput['recovery'];
  readonly restartNonce?: number;
  readonly ttlSecondsAfterFinished?: number;
  readonly localStorage?: FlinkJobSpecInput['state']['localStorage'];
}

function specWith(choices: SpecChoices = {}): FlinkJobSpec {
  return FlinkJobSpec.parse({
    job: { module: 'job.ts', ...choices.job },
    upgrade: choices.upgrade ?? {},
    restore: choices.restore ?? {},
    taskManager: choices.taskManager ?? {},
    jobManager: choices.jobManager ?? {},
    checkpoints: choices.checkpoints ?? {},
    state: {
      checkpointStorage: choices.checkpointStorage ?? 'file:///storage',
      ...(choices.localStorage === undefined ? {} : { localStorage: choices.localStorage }),
    },
    recovery: choices.recovery ?? {},
    restartNonce: choices.restartNonce,
    ttlSecondsAfterFinished: choices.ttlSecondsAfterFinished,
    ...(choices.image === undefined ? {} : { image: choices.image }),
    ...(choices.podTemplate === undefined ? {} : { podTemplate: choices.podTemplate }),
  });
}

export function revisionWith(choices: SpecChoices = {}, moduleDigest?: string): Revision {
  const annotations = moduleDigest === undefined ? {} : { 'flinkjob.dev/module-digest': moduleDigest };
  return buildRevision(specWith(choices), { annotations });
}

export function planWith(
  overrides: Partial<Omit<PlanResult, 'lineage'>> & { readonly lineage?: Partial<PlanResult['lineage']> } = {},
): PlanResult {
  return {
    ok: true,
    problems: [],
    jobGraphHash: 'graph',
    vertices: [],
    slotsRequired: 1,
    restore: [],
    bytesToMove: 0,
    bytesToMoveBySubtask: [],
    ...overrides,
    lineage: { attemptNumber: 0, epoch: 0, restorePath: undefined, owner: undefined, ...overrides.lineage },
  };
}

/** A source with so many records before it. */
export function vertexWith(pendingRecords: number): JobStatusDocument['vertices'][number] {
  return {
    ...{ id: 'source', name: 'source', parallelism: 1, runningSubtasks: 1, endedSubtasks: 0 },
    ...{ recordsIn: 0, recordsOut: 0, stateSizeBytes: 0, lateRecordsDropped: 0 },
    load: {
      ...{ busyRatio: 0, backPressuredRatio: 0, idleRatio: 1, recordsInPerSecond: 0, recordsOutPerSecond: 0 },
      ...{ pendingRecords, pendingBytes: undefined, watermarkMs: undefined, eventTimeLagMs: undefined },
    },
  };
}

export function documentWith(overrides: Partial<JobStatusDocument> = {}): JobStatusDocument {
  return {
    format: 1,
    jobId: 'job',
    jobName: 'job',
    revision: 'revision',
    attempt: { number: 1, token: 'token' },
    podUid: 'pod',
    state: 'Running',
    stateSinceMs: 0,
    error: undefined,
    epoch: 1,
    executionAttempt: 1,
    restarts: 0,
    parallelism: 1,
    maxParallelism: 128,
    restored: { source: 'Nothing', checkpointId: undefined, path: undefined, reason: 'Empty', note: undefined },
    lastCheckpoint: undefined,
    checkpointCounts: { completed: 0, failed: 0, inProgress: 0 },
    taskManagers: { registered: 1, slotsTotal: 1, slotsRequired: 1 },
    vertices: [],
    operations: [],
    guarantees: [],
    closed: undefined,
    ...overrides,
  };
}
