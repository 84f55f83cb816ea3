/**
 * Every metric that is served, by scope and name: REST shows the names, `/metrics` puts the scope's prefix before them, docs/metrics.md is made of them. What is not
 * here is not served. A name is Flink's where Flink measures the same thing, in Flink's unit.
 */
export interface MetricDefinition {
  readonly kind: 'Counter' | 'Gauge';
  /** One line; also the HELP text. */
  readonly help: string;
  /** Flink has it under this name. */
  readonly isFlinks: boolean;
  /** Beside those of its scope. */
  readonly labels: readonly string[];
}

export type MetricDefinitions = Readonly<Record<string, MetricDefinition>>;

const flinks = (kind: MetricDefinition['kind'], help: string): MetricDefinition => ({ kind, help, isFlinks: true, labels: [] });
const ours = (kind: MetricDefinition['kind'], help: string, ...labels: readonly string[]): MetricDefinition => ({
  ...{ kind, help, isFlinks: false, labels },
});

/** Of the job, by its JobManager. */
export const jobMetrics = {
  numberOfCompletedCheckpoints: flinks(
    'Counter',
    'Checkpoints and savepoints completed since this JobManager opened the lineage.',
  ),
  numberOfFailedCheckpoints: flinks(
    'Counter',
    'Checkpoints and savepoints that failed since this JobManager opened the lineage.',
  ),
  numberOfInProgressCheckpoints: flinks('Gauge', 'Checkpoints and savepoints under way.'),
  totalNumberOfCheckpoints: flinks('Counter', 'Checkpoints and savepoints triggered since this JobManager opened the lineage.'),
  lastCheckpointDuration: flinks(
    'Gauge',
    'Milliseconds from the trigger of the newest completed checkpoint to its entry in the lineage.',
  ),
  lastCheckpointSize: flinks('Gauge', 'Bytes that the newest completed checkpoint names and the one before it does not.'),
  lastCheckpointFullSize: flinks('Gauge', 'Bytes of state that the newest completed checkpoint names.'),
  lastCheckpointCompletedTimestamp: flinks('Gauge', 'When the newest checkpoint completed, in milliseconds since the epoch.'),
  lastCheckpointUploadedSize: ours('Gauge', 'Bytes written to storage for the newest completed checkpoint.'),
  restorableAgeSeconds: ours(
    'Gauge',
    'Seconds of work that a failure would repeat now: since the trigger of the newest completed checkpoint or, without one, since this JobManager started.',
  ),
  leakedObjects: ours(
    'Gauge',
    'Objects in checkpoint storage that nothing names and nothing will delete, older than the grace period; counted every ten minutes, and to be 0 from one time to the next.',
  ),
  leakedSize: ours('Gauge', 'Bytes of leakedObjects.'),
  numRestarts: flinks('Counter', 'Automatic restarts since this JobManager opened the lineage.'),
  fullRestarts: flinks('Counter', 'The same as numRestarts: every restart is of the whole job.'),
  uptime: flinks('Gauge', 'Milliseconds that the job has been running without interruption; 0 while it is not.'),
  executionAttempt: ours('Gauge', 'Number of the execution attempt; counters of tasks start anew with each.'),
  epoch: ours('Gauge', 'Epoch of the lineage under which this JobManager works.'),
  state: ours('Gauge', '1 for the state that the job is in.', 'state'),
  restoredKeyGroups: ours(
    'Gauge',
    'Key groups of keyed operators whose state is there; no record enters an operator before all of its own are.',
  ),
  restoreKeyGroups: ours('Gauge', 'Key groups of keyed operators in all.'),
  restoreLinkedSize: ours('Gauge', 'Bytes of state that this execution attempt took from local disks.'),
  restoreFetchedSize: ours('Gauge', 'Bytes of state that this execution attempt brought from checkpoint storage.'),
  info: ours('Gauge', 'Always 1; says whose the numbers are.', 'namespace', 'name', 'revision', 'attempt'),
} as const satisfies MetricDefinitions;

/** Of the JobManager's process. */
export const jobManagerMetrics = {
  numRegisteredTaskManagers: flinks('Gauge', 'TaskManagers that are registered.'),
  taskSlotsTotal: flinks('Gauge', 'Slots of the registered TaskManagers.'),
  taskSlotsAvailable: flinks('Gauge', 'Slots without tasks.'),
  numRunningJobs: flinks('Gauge', '1 while the job is not over.'),
  residentSize: ours('Gauge', 'Resident memory of the process, in bytes.'),
  heapUsed: ours('Gauge', 'V8 heap in use on the main thread, in bytes.'),
  heapLimit: ours('Gauge', 'Largest V8 heap of the main thread, in bytes.'),
  eventLoopDelaySeconds: ours('Gauge', 'How late the main thread came to its timers during the last seconds.', 'quantile'),
  processCpuSeconds: ours('Counter', 'Processor time of the process.'),
} as const satisfies MetricDefinitions;

/** Of a TaskManager's process. */
export const taskManagerMetrics = {
  residentSize: ours('Gauge', 'Resident memory of the process, in bytes.'),
  memoryBudget: ours('Gauge', 'Memory that the process may use, and how it is divided, in bytes.', 'part'),
  heapUsed: ours('Gauge', 'V8 heap in use, in bytes.', 'thread'),
  heapLimit: ours('Gauge', 'Largest V8 heap, in bytes.', 'thread'),
  threadUtilization: ours(
    'Gauge',
    'Share of the last second in which the thread was not waiting for something to arrive.',
    'thread',
  ),
  eventLoopDelaySeconds: ours('Gauge', 'How late the main thread came to its timers during the last seconds.', 'quantile'),
  processCpuSeconds: ours('Counter', 'Processor time of the process.'),
  rocksDbMemoryCapacity: ours('Gauge', 'Strict cap of all RocksDB memory of the process, in bytes.'),
  rocksDbMemoryUsed: ours('Gauge', 'RocksDB memory in use, in bytes.', 'part'),
  diskWriteBytesPerSecond: ours('Gauge', 'Sequential synced writes to a local directory, measured at start.', 'directory'),
  diskSyncSeconds: ours('Gauge', 'Time of small synced writes to a local directory, measured at start.', 'directory', 'quantile'),
} as const satisfies MetricDefinitions;

/** Of a subtask. */
export const taskMetrics = {
  numRecordsIn: flinks('Counter', 'Records received; of a source, records read.'),
  numRecordsInPerSecond: flinks('Gauge', 'The same per second, over the last seconds.'),
  numRecordsOut: flinks('Counter', 'Records sent on or written by sinks.'),
  numRecordsOutPerSecond: flinks('Gauge', 'The same per second, over the last seconds.'),
  numBytesIn: flinks(
    'Counter',
    'Bytes of records that came from other threads and processes; within a thread records are handed over as they are.',
  ),
  numBytesInPerSecond: flinks('Gauge', 'The same per second, over the last seconds.'),
  numBytesOut: flinks('Counter', 'Bytes of records sent to other threads and processes.'),
  numBytesOutPerSecond: flinks('Gauge', 'The same per second, over the last seconds.'),
  busyTimeMsPerSecond: flinks('Gauge', 'Milliseconds of a second in which it worked, over the last seconds.'),
  backPressuredTimeMsPerSecond: flinks(
    'Gauge',
    'Milliseconds of a second in which its consumers had no room for its output, or its thread ran others.',
  ),
  idleTimeMsPerSecond: flinks('Gauge', 'Milliseconds of a second in which it had nothing to do.'),
  accumulateBusyTimeMs: flinks('Counter', 'Busy time in all.'),
  accumulateBackPressuredTimeMs: flinks('Counter', 'Back-pressured time in all.'),
  accumulateIdleTimeMs: flinks('Counter', 'Idle time in all.'),
  currentInputWatermark: flinks(
    'Gauge',
    'The last watermark, in milliseconds since the epoch: of its input; of a source, its own. Absent before the first.',
  ),
  buffers_inputQueueLength: flinks('Gauge', 'Pages and batches that wait to be read.'),
  buffers_outputQueueLength: flinks('Gauge', 'Pages and batches that wait for room at the consumer.'),
  stateSize: ours('Gauge', 'Bytes of keyed, broadcast and operator state; of a backend on disk an estimate.'),
} as const satisfies MetricDefinitions;

const state = (kind: MetricDefinition['kind'], help: string) => ours(kind, `State backend: ${help}`);

/** Of an operator in a subtask. What job authors register comes besides, with `user_` before its name. */
export const operatorMetrics = {
  numRecordsIn: flinks('Counter', 'Records received; of a source, records read.'),
  numRecordsOut: flinks('Counter', 'Records emitted, to side outputs too; of a sink, records written.'),
  numLateRecordsDropped: flinks('Counter', 'Records that came too late for their windows and went to no side output.'),
  pendingRecords: flinks('Gauge', 'Source: records that were fetched or are known to wait, and are not read yet.'),
  pendingBytes: flinks('Gauge', 'Source: bytes that are not read yet.'),
  currentEmitEventTimeLag: flinks(
    'Gauge',
    'Source: milliseconds between the event time of the last record and when it was read.',
  ),
  watermarkLag: flinks('Gauge', 'Source: milliseconds that its watermark is behind the clock.'),
  sourceIdleTime: flinks('Gauge', 'Source: milliseconds since it gave a record.'),
  pendingCommittables: flinks('Gauge', 'Sink: pieces of output that wait for a checkpoint to be committed.'),
  state_batchKeys: state('Counter', 'keys announced with batches.'),
  state_cacheEntries: state('Gauge', 'entries in the cache on the heap.'),
  state_cacheEvictions: state('Counter', 'entries that left the cache.'),
  state_cacheHits: state('Counter', 'reads that the cache answered.'),
  state_cacheMisses: state('Counter', 'reads that RocksDB answered.'),
  state_cacheSizeBytes: state('Gauge', 'bytes in the cache on the heap.'),
  state_cachedTimers: state('Gauge', 'timers on the heap.'),
  state_cells: state('Gauge', 'keys, by state and namespace.'),
  state_dirtyEntries: state('Gauge', 'changed entries that are not written to RocksDB yet.'),
  state_dirtySizeBytes: state('Gauge', 'bytes of them.'),
  state_drainMs: state('Counter', 'milliseconds spent on writing changed entries.'),
  state_fileSizeBytes: state('Gauge', 'bytes in files on the local disk.'),
  state_filesAtLevel0: state('Gauge', 'files that compaction has not looked at yet.'),
  state_filledBatchKeys: state('Counter', 'announced keys that had state.'),
  state_firedTimers: state('Counter', 'timers that have fired.'),
  state_memtableSizeBytes: state('Gauge', 'bytes in memtables.'),
  state_multiGetCalls: state('Counter', 'reads of many rows.'),
  state_multiGetRows: state('Counter', 'rows of those reads.'),
  state_outsideCompactionDone: state('Gauge', '1 when what came with restored files and belongs to other key groups is gone.'),
  state_outsideCompactionFailures: state('Counter', 'failed attempts at that.'),
  state_outsideCompactionMs: state('Gauge', 'milliseconds that it took.'),
  state_rangeReads: state('Counter', 'reads of a range of rows.'),
  state_rangeRows: state('Counter', 'rows of those reads.'),
  state_restoredByFiles: state('Gauge', '1 when it was restored by opening files as they were.'),
  state_restoredByRewrittenFiles: state('Gauge', '1 when it was restored by files that were written anew.'),
  state_restoredByRows: state('Gauge', '1 when it was restored row by row.'),
  state_snapshotDrainMs: state('Gauge', 'last snapshot: milliseconds to write changed entries.'),
  state_snapshotFlushMs: state('Gauge', 'last snapshot: milliseconds to flush memtables.'),
  state_snapshotFreezeMs: state('Gauge', 'last snapshot: milliseconds in which the task stood still.'),
  state_snapshotLinkMs: state('Gauge', 'last snapshot: milliseconds to link files.'),
  state_snapshotPutMs: state('Gauge', 'last snapshot: milliseconds to put files into storage.'),
  state_snapshotSizeBytes: state('Gauge', 'bytes kept for a snapshot that is being written.'),
  state_timers: state('Gauge', 'timers.'),
  state_writtenRecords: state('Counter', 'rows written to RocksDB.'),
} as const satisfies MetricDefinitions;

/** Before the name of what a job author registered. */
export const userMetricPrefix = 'user_';

/** A scope of `/metrics`: what stands before the names, and which labels every metric of it has. */
export interface MetricScope {
  readonly title: string;
  readonly flinkPrefix: string;
  readonly ownPrefix: string;
  readonly labels: readonly string[];
  readonly definitions: MetricDefinitions;
}

const jobLabels = ['job_id', 'job_name'];
const taskLabels = [...jobLabels, 'task_id', 'task_name', 'subtask_index', 'tm_id'];

export const metricScopes = {
  job: {
    ...{ title: 'The job', flinkPrefix: 'flink_jobmanager_job_', ownPrefix: 'flinkjob_job_' },
    ...{ labels: jobLabels, definitions: jobMetrics },
  },
  jobManager: {
    ...{ title: 'The JobManager', flinkPrefix: 'flink_jobmanager_', ownPrefix: 'flinkjob_jobmanager_' },
    ...{ labels: [], definitions: jobManagerMetrics },
  },
  taskManager: {
    ...{ title: 'A TaskManager', flinkPrefix: 'flink_taskmanager_', ownPrefix: 'flinkjob_taskmanager_' },
    ...{ labels: ['tm_id'], definitions: taskManagerMetrics },
  },
  task: {
    ...{ title: 'A subtask', flinkPrefix: 'flink_taskmanager_job_task_', ownPrefix: 'flinkjob_task_' },
    ...{ labels: taskLabels, definitions: taskMetrics },
  },
  operator: {
    ...{
      title: 'An operator of a subtask',
      flinkPrefix: 'flink_taskmanager_job_task_operator_',
      ownPrefix: 'flinkjob_operator_',
    },
    ...{ labels: [...taskLabels, 'operator_id', 'operator_name'], definitions: operatorMetrics },
  },
} as const satisfies Readonly<Record<string, MetricScope>>;

/** As `/metrics` has it. */
export function servedName(scope: MetricScope, name: string): string {
  const isFlinks = scope.definitions[name]?.isFlinks ?? name.startsWith(userMetricPrefix);
  return `${isFlinks ? scope.flinkPrefix : scope.ownPrefix}${name}`;
}
