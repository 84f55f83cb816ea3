import type { JobStatusDocument, VertexLoad } from '@flinkjob/runtime/rest';
import { addSample, noRates } from '../../src/cli/live-view/rates.ts';
import type { LiveView } from '../../src/cli/live-view/view-state.ts';

/** A status for tests: a word count in full swing, with overrides. */
export function jobStatus(overrides: Partial<JobStatusDocument> = {}): JobStatusDocument {
  return {
    format: 1,
    jobId: 'j1',
    jobName: 'word-count',
    revision: '5f1c2e',
    attempt: { number: 2, token: 't' },
    podUid: 'p1',
    state: 'Running',
    stateSinceMs: 0,
    error: undefined,
    epoch: 3,
    executionAttempt: 1,
    restarts: 0,
    parallelism: 2,
    maxParallelism: 128,
    restored: { source: 'Checkpoint', checkpointId: 41, path: 'chk-000041-e2', reason: 'Latest', note: undefined },
    lastCheckpoint: {
      id: 42,
      kind: 'Checkpoint',
      path: 'chk-000042-e3',
      triggeredAtMs: 131_955,
      completedAtMs: 132_000,
      sizeBytes: 12_595,
      deltaSizeBytes: 1250,
      uploadedSizeBytes: 1250,
    },
    checkpointCounts: { completed: 12, failed: 0, inProgress: 0 },
    taskManagers: { registered: 2, slotsTotal: 4, slotsRequired: 2 },
    vertices: [
      {
        id: 'text',
        name: 'text -> words',
        parallelism: 1,
        runningSubtasks: 1,
        endedSubtasks: 0,
        recordsIn: 4000,
        recordsOut: 26_800,
        stateSizeBytes: 0,
        lateRecordsDropped: 0,
        load: { ...load(0.1, 0.85), pendingBytes: 1_500_000, eventTimeLagMs: 2500 },
      },
      {
        id: 'counts',
        name: 'counts -> out',
        parallelism: 2,
        runningSubtasks: 2,
        endedSubtasks: 0,
        recordsIn: 26_800,
        recordsOut: 26_800,
        stateSizeBytes: 402_000,
        lateRecordsDropped: 0,
        load: load(0.97, 0),
      },
    ],
    operations: [],
    guarantees: [],
    closed: undefined,
    ...overrides,
  };
}

/** A view for tests, two samples old, with overrides. */
export function liveView(overrides: Partial<LiveView> = {}): LiveView {
  const status = jobStatus();
  const earlier = jobStatus({
    vertices: status.vertices.map((vertex) => ({
      ...vertex,
      recordsIn: vertex.recordsIn - 100,
      recordsOut: vertex.recordsOut - 670,
    })),
  });
  return {
    nowMs: 135_000,
    namespace: 'default',
    name: 'word-count',
    state: { label: 'Running', tone: 'good', sinceMs: 1000 },
    revision: '5f1c2e',
    attempt: 2,
    status,
    rates: addSample(addSample(noRates, earlier, 134_000), status, 135_000),
    problem: [],
    events: [
      { atMs: 1000, tone: 'good', reason: 'Started', message: 'revision 5f1c2e runs as attempt 2' },
      { atMs: 2000, tone: 'plain', reason: 'CheckpointCompleted', message: 'chk-000042-e3' },
    ],
    output: ['(the, 812)', '(and, 420)'],
    tips: ['kill -9 4242', 'edit word-count.yaml'],
    footer: 'Ctrl-C stops with a savepoint',
    ...overrides,
  };
}

function load(busyRatio: number, backPressuredRatio: number): VertexLoad {
  return {
    ...{ busyRatio, backPressuredRatio, idleRatio: 1 - busyRatio - backPressuredRatio },
    ...{ recordsInPerSecond: 100, recordsOutPerSecond: 670, pendingRecords: undefined, pendingBytes: undefined },
    ...{ watermarkMs: undefined, eventTimeLagMs: undefined },
  };
}
