import type { CheckpointSummary, ImportStatus, JobState, JobStatusDocument, RestoredFrom, VertexStatus } from '../api/rest.ts';
import { sinkGuarantees } from '../core/checkpoint/sink-guarantees.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type { JobGraph, JobVertex } from '../core/job-graph/job-graph.ts';
import type { CheckpointRecord, ClosedEntry } from '../core/lineage/entries.ts';
import type { LeakedObjects } from '../core/lineage/leaked-objects.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { RestoreDecision } from '../core/lineage/open.ts';
import { type MetricWindow, newest } from '../core/metrics/metric-window.ts';
import { slotsRequired } from '../core/scheduling/slot-assignment.ts';
import type { Execution } from './execution.ts';
import { jobIdOf } from './job-id.ts';
import type { JobManagerInput } from './job-manager-ports.ts';
import { vertexLoad } from './vertex-load.ts';

/** What a JobManager knows of itself, for the status document. */
export interface JobFacts {
  readonly input: JobManagerInput;
  readonly state: JobState;
  readonly stateSinceMs: number;
  readonly error: ErrorInfo | undefined;
  readonly epoch: number | undefined;
  readonly executionAttempt: number;
  readonly restarts: number;
  readonly lastFailure?: ErrorInfo | undefined;
  readonly restored: RestoredFrom | undefined;
  readonly importing?: ImportStatus | undefined;
  readonly latest: CheckpointRecord | undefined;
  /** Of `latest`, if this JobManager has taken it. */
  readonly latestSizes?: { readonly deltaSizeBytes: number; readonly uploadedSizeBytes: number } | undefined;
  readonly checkpointCounts: JobStatusDocument['checkpointCounts'];
  readonly failedCheckpoint?: JobStatusDocument['failedCheckpoint'];
  readonly restorableAgeSeconds?: number | undefined;
  readonly leakedObjects?: LeakedObjects | undefined;
  readonly offeredSlots: readonly { readonly taskManagerId: string; readonly slots: number }[];
  readonly execution: Execution | undefined;
  readonly operations: JobStatusDocument['operations'];
  readonly closed: ClosedEntry | undefined;
}

export function jobStatus(facts: JobFacts): JobStatusDocument {
  const { config, graph } = facts.input;
  const { state, stateSinceMs, error, epoch, executionAttempt, restarts, restored, checkpointCounts, operations } = facts;
  return {
    format: 1,
    jobId: jobIdOf(config.lineage),
    jobName: graph.name,
    revision: config.revision,
    attempt: config.attempt,
    podUid: config.podUid,
    ...{ state, stateSinceMs, error, epoch, executionAttempt, restarts },
    ...(facts.lastFailure === undefined ? {} : { lastFailure: inWords(facts.lastFailure) }),
    parallelism: graph.parallelism,
    maxParallelism: graph.maxParallelism,
    restored,
    ...(facts.importing === undefined ? {} : { importing: facts.importing }),
    lastCheckpoint: facts.latest === undefined ? undefined : summarize(facts.latest, facts.latestSizes),
    checkpointCounts,
    ...(facts.failedCheckpoint === undefined ? {} : { failedCheckpoint: facts.failedCheckpoint }),
    restorableAgeSeconds: facts.restorableAgeSeconds,
    leakedObjects: facts.leakedObjects,
    taskManagers: {
      registered: facts.offeredSlots.length,
      slotsTotal: facts.offeredSlots.reduce((sum, { slots }) => sum + slots, 0),
      slotsRequired: graph.vertices.length === 0 ? 0 : slotsRequired(graph),
      ids: facts.offeredSlots.map(({ taskManagerId }) => taskManagerId).sort(),
    },
    restoring: facts.execution?.restoreProgress,
    vertices: graph.vertices.map((vertex) => vertexStatus(vertex, facts.execution)),
    operations,
    guarantees: sinkGuarantees(graph, config.checkpoints.mode),
    closed: facts.closed && {
      reason: facts.closed.reason,
      checkpointId: facts.closed.checkpointId,
      operationId: facts.closed.operationId,
    },
  };
}

function inWords({ code, message, remedy }: ErrorInfo): JobStatusDocument['lastFailure'] {
  return { code, message, ...(remedy === undefined ? {} : { remedy }) };
}

export function restoredFrom({ checkpoint, source, reason, note, import: importRequest }: RestoreDecision): RestoredFrom {
  const path = checkpoint === undefined ? undefined : (importRequest?.url ?? directoryOfManifest(checkpoint.manifest.path));
  return { source, checkpointId: checkpoint?.checkpointId, path, reason, note };
}

function summarize(record: CheckpointRecord, sizes: JobFacts['latestSizes']): CheckpointSummary {
  return {
    id: record.checkpointId,
    kind: record.kind,
    path: directoryOfManifest(record.manifest.path),
    triggeredAtMs: record.triggeredAtMs,
    completedAtMs: record.completedAtMs,
    sizeBytes: record.stateSizeBytes,
    ...(sizes === undefined ? {} : { deltaSizeBytes: sizes.deltaSizeBytes, uploadedSizeBytes: sizes.uploadedSizeBytes }),
  };
}

function vertexStatus({ id, name, parallelism }: JobVertex, execution: Execution | undefined): VertexStatus {
  const totals = { runningSubtasks: 0, endedSubtasks: 0, recordsIn: 0, recordsOut: 0, stateSizeBytes: 0, lateRecordsDropped: 0 };
  const windows: MetricWindow[] = [];
  for (let subtaskIndex = 0; execution !== undefined && subtaskIndex < parallelism; subtaskIndex++) {
    const task = { vertexId: id, subtaskIndex };
    const window = execution.metricsOf(task);
    const metrics = window && newest(window);
    windows.push(...(window === undefined ? [] : [window]));
    totals.runningSubtasks += execution.isRunning && !execution.isEnded(task) ? 1 : 0;
    totals.endedSubtasks += execution.isEnded(task) ? 1 : 0;
    totals.recordsIn += metrics?.recordsIn ?? 0;
    totals.recordsOut += metrics?.recordsOut ?? 0;
    totals.stateSizeBytes += metrics?.stateSizeBytes ?? 0;
    totals.lateRecordsDropped += metrics?.lateRecordsDropped ?? 0;
  }
  const load = vertexLoad(windows, parallelism);
  return { id, name, parallelism, ...totals, ...(load === undefined ? {} : { load }) };
}

/** For a JobManager that has no graph: its module could not be loaded. */
export const emptyGraph: JobGraph = { name: '', parallelism: 0, maxParallelism: 0, vertices: [], edges: [] };
