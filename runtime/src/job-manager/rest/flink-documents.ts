import type { JobState, JobStatusDocument, OperationStatus, VertexStatus } from '../../api/rest.ts';
import type { JobGraph, Partitioning } from '../../core/job-graph/job-graph.ts';
import { newest } from '../../core/metrics/metric-window.ts';
import type { ProcessMetric, SubtaskMetrics } from '../../core/protocol/messages.ts';
import { isCheckpointUrl } from '../../savepoint-transfer/checkpoint-source.ts';
import { isOver } from '../job-manager.ts';
import type { RegisteredTaskManager } from '../task-managers.ts';
import type { ServedJob } from './served-job.ts';

/**
 * The documents that Flink's REST clients know, from what our job says. Pure. Fields for which we have no value carry Flink's own word for
 * "none": -1, 0, null or an empty object.
 */
const productVersion = '0.1.0';

const flinkStates: Readonly<Record<JobState, string>> = {
  Initializing: 'INITIALIZING',
  WaitingForTaskManagers: 'CREATED',
  Deploying: 'CREATED',
  Running: 'RUNNING',
  Restarting: 'RESTARTING',
  Stopping: 'RUNNING',
  Finishing: 'RUNNING',
  // Flink too ends a stop with savepoint in FINISHED.
  Stopped: 'FINISHED',
  Finished: 'FINISHED',
  Failed: 'FAILED',
  Canceled: 'CANCELED',
  Fenced: 'SUSPENDED',
  Refused: 'FAILED',
};

function flinkState(state: JobState): string {
  return flinkStates[state];
}

export function overviewDocument(job: ServedJob): object {
  const { state, taskManagers } = job.status();
  const count = (...states: readonly string[]) => (states.includes(flinkState(state)) ? 1 : 0);
  const used = job.taskManagers().reduce((sum, { taskManagerId }) => sum + job.usedSlots(taskManagerId), 0);
  return {
    taskmanagers: taskManagers.registered,
    'slots-total': taskManagers.slotsTotal,
    'slots-available': taskManagers.slotsTotal - used,
    'jobs-running': count('INITIALIZING', 'CREATED', 'RUNNING', 'RESTARTING'),
    'jobs-finished': count('FINISHED'),
    'jobs-cancelled': count('CANCELED'),
    'jobs-failed': count('FAILED', 'SUSPENDED'),
    'flink-version': `FlinkJob ${productVersion}`,
    'flink-commit': '',
  };
}

export function configDocument(): object {
  return {
    'refresh-interval': 3000,
    'timezone-name': 'UTC',
    'timezone-offset': 0,
    'flink-version': `FlinkJob ${productVersion}`,
    'flink-revision': '',
    features: { 'web-submit': false, 'web-cancel': true, 'web-rescale': false, 'web-history': false },
  };
}

export function jobsDocument(job: ServedJob): object {
  const { jobId, state } = job.status();
  return { jobs: [{ id: jobId, status: flinkState(state) }] };
}

export function jobsOverviewDocument(job: ServedJob, nowMs: number): object {
  const status = job.status();
  return {
    jobs: [
      {
        jid: status.jobId,
        name: status.jobName,
        state: flinkState(status.state),
        ...timesOf(job, status, nowMs),
        'last-modification': status.stateSinceMs,
        tasks: { total: countSubtasks(status.vertices), ...sumTasks(status) },
      },
    ],
  };
}

export function jobDocument(job: ServedJob, nowMs: number): object {
  const status = job.status();
  return {
    jid: status.jobId,
    name: status.jobName,
    isStoppable: false,
    state: flinkState(status.state),
    'job-type': 'STREAMING',
    ...timesOf(job, status, nowMs),
    maxParallelism: status.maxParallelism,
    now: nowMs,
    timestamps: { [flinkState(status.state)]: status.stateSinceMs },
    vertices: status.vertices.map((vertex) => vertexDocument(job, status, vertex, nowMs)),
    'status-counts': upperCased(sumTasks(status)),
    plan: planOf(status.jobId, job.graph),
  };
}

export function planDocument(job: ServedJob): object {
  return { plan: planOf(job.status().jobId, job.graph) };
}

export function jobConfigDocument(job: ServedJob): object {
  const { jobId, jobName, parallelism } = job.status();
  return {
    jid: jobId,
    name: jobName,
    'execution-config': {
      'restart-strategy': job.config.restartStrategy.type,
      'job-parallelism': parallelism,
      'object-reuse-mode': false,
      // Names only, and for all of them Flink's word for a value that is hidden: which one is a password, only its author knows.
      'user-config': Object.fromEntries(Object.keys(job.config.job.args).map((name) => [name, '******'])),
    },
  };
}

export function operationDocument(operation: OperationStatus): object {
  switch (operation.state) {
    case 'InProgress':
      return { status: { id: 'IN_PROGRESS' }, operation: null };
    case 'Completed':
      return { status: { id: 'COMPLETED' }, operation: { location: operation.location ?? null } };
    default: {
      const { code = 'Failed', message = 'failed', stack } = operation.error ?? {};
      return { status: { id: 'COMPLETED' }, operation: { 'failure-cause': { class: code, 'stack-trace': stack ?? message } } };
    }
  }
}

export function taskManagersDocument(job: ServedJob): object {
  return { taskmanagers: job.taskManagers().map((taskManager) => taskManagerDocument(job, taskManager)) };
}

export function taskManagerDocument(job: ServedJob, taskManager: RegisteredTaskManager): object {
  const { taskManagerId, dataAddress, slots, lastHeardAtMs, residentSizeBytes } = taskManager;
  return {
    id: taskManagerId,
    path: dataAddress,
    dataPort: Number(dataAddress.slice(dataAddress.lastIndexOf(':') + 1)),
    jmxPort: -1,
    timeSinceLastHeartbeat: lastHeardAtMs,
    slotsNumber: slots,
    freeSlots: slots - job.usedSlots(taskManagerId),
    totalResource: {},
    freeResource: {},
    hardware: {},
    memoryConfiguration: {},
    metrics: { residentSizeBytes, ...heapOf(taskManager.metrics) },
  };
}

/** Of all threads together. */
function heapOf(metrics: readonly ProcessMetric[]): { readonly heapUsed: number; readonly heapMax: number } {
  const sum = (wanted: string) => metrics.reduce((total, { name, value }) => total + (name === wanted ? value : 0), 0);
  return { heapUsed: sum('heapUsed'), heapMax: sum('heapLimit') };
}

function vertexDocument(job: ServedJob, status: JobStatusDocument, vertex: VertexStatus, nowMs: number): object {
  const reports = job.subtasks().flatMap(({ window }) => (newest(window).task.vertexId === vertex.id ? [newest(window)] : []));
  const sum = (value: (report: SubtaskMetrics) => number) => reports.reduce((total, report) => total + value(report), 0);
  const isComplete = reports.length === vertex.parallelism;
  const tasks = tasksOf(status.state, vertex);
  return {
    id: vertex.id,
    name: vertex.name,
    maxParallelism: job.graph.vertices.find(({ id }) => id === vertex.id)?.maxParallelism ?? -1,
    parallelism: vertex.parallelism,
    status: vertexState(status.state, vertex),
    ...timesOf(job, status, nowMs),
    tasks: upperCased(tasks),
    metrics: {
      'read-bytes': sum(({ bytesIn }) => bytesIn),
      'read-bytes-complete': isComplete,
      'write-bytes': sum(({ bytesOut }) => bytesOut),
      'write-bytes-complete': isComplete,
      'read-records': vertex.recordsIn,
      'read-records-complete': isComplete,
      'write-records': vertex.recordsOut,
      'write-records-complete': isComplete,
      'accumulated-backpressured-time': Math.round(sum(({ backPressuredMs }) => backPressuredMs)),
      'accumulated-idle-time': Math.round(sum(({ idleMs }) => idleMs)),
      'accumulated-busy-time': Math.round(sum(({ busyMs }) => busyMs)),
    },
  };
}

function vertexState(state: JobState, { parallelism, runningSubtasks, endedSubtasks }: VertexStatus): string {
  if (isOver(state)) {
    return flinkState(state) === 'FINISHED' ? 'FINISHED' : 'CANCELED';
  }
  if (endedSubtasks === parallelism) {
    return 'FINISHED';
  }
  if (runningSubtasks + endedSubtasks === parallelism) {
    return 'RUNNING';
  }
  return state === 'Deploying' ? 'DEPLOYING' : 'CREATED';
}

type Tasks = Readonly<
  Record<
    | 'created'
    | 'scheduled'
    | 'deploying'
    | 'initializing'
    | 'running'
    | 'finished'
    | 'canceling'
    | 'canceled'
    | 'failed'
    | 'reconciling',
    number
  >
>;

function tasksOf(state: JobState, { parallelism, runningSubtasks, endedSubtasks }: VertexStatus): Tasks {
  const rest = parallelism - runningSubtasks - endedSubtasks;
  const isFinished = flinkState(state) === 'FINISHED';
  return {
    created: isOver(state) || state === 'Deploying' ? 0 : rest,
    scheduled: 0,
    deploying: state === 'Deploying' ? rest : 0,
    initializing: 0,
    running: runningSubtasks,
    finished: isFinished ? parallelism : endedSubtasks,
    canceling: 0,
    canceled: isOver(state) && !isFinished ? rest : 0,
    failed: 0,
    reconciling: 0,
  };
}

function sumTasks({ state, vertices }: JobStatusDocument): Tasks {
  const none = tasksOf(state, noSubtasks);
  return vertices.reduce((sum, vertex) => {
    const tasks = tasksOf(state, vertex);
    return Object.fromEntries(Object.entries(sum).map(([name, count]) => [name, count + tasks[name as keyof Tasks]])) as Tasks;
  }, none);
}

const noSubtasks: VertexStatus = {
  ...{ id: '', name: '', parallelism: 0, runningSubtasks: 0, endedSubtasks: 0 },
  ...{ recordsIn: 0, recordsOut: 0, stateSizeBytes: 0, lateRecordsDropped: 0 },
};

function upperCased(tasks: Tasks): object {
  return Object.fromEntries(Object.entries(tasks).map(([name, count]) => [name.toUpperCase(), count]));
}

function countSubtasks(vertices: readonly VertexStatus[]): number {
  return vertices.reduce((sum, { parallelism }) => sum + parallelism, 0);
}

function timesOf(job: ServedJob, { state, stateSinceMs }: JobStatusDocument, nowMs: number): object {
  const endMs = isOver(state) ? stateSinceMs : undefined;
  return { 'start-time': job.startedAtMs, 'end-time': endMs ?? -1, duration: (endMs ?? nowMs) - job.startedAtMs };
}

const shipStrategies: Readonly<Record<Partitioning, string>> = {
  Forward: 'FORWARD',
  Hash: 'HASH',
  Rebalance: 'REBALANCE',
  Broadcast: 'BROADCAST',
};

function planOf(jid: string, graph: JobGraph): object {
  return {
    jid,
    name: graph.name,
    type: 'STREAMING',
    nodes: graph.vertices.map(({ id, name, parallelism }) => ({
      id,
      parallelism,
      operator: '',
      operator_strategy: '',
      description: name,
      inputs: graph.edges
        .filter(({ to }) => to === id)
        .map(({ from, partitioning }, num) => ({
          num,
          id: from,
          ship_strategy: shipStrategies[partitioning],
          exchange: 'pipelined_bounded',
        })),
      optimizer_properties: {},
    })),
  };
}

export function externalPath({ checkpointStorageUrl }: ServedJob, path: string | undefined): string | null {
  return path === undefined ? null : isCheckpointUrl(path) ? path : `${checkpointStorageUrl}/${path}`;
}
