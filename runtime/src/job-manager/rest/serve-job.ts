import type { ErrorInfo } from '../../core/job-error.ts';
import { JobError } from '../../core/job-error.ts';
import type { Execution } from '../execution.ts';
import { JobHistory } from '../job-history.ts';
import type { JobManager } from '../job-manager.ts';
import type { JobManagerInput } from '../job-manager-ports.ts';
import { emptyGraph, jobStatus } from '../job-status.ts';
import type { ServedJob, ServedSubtask } from './served-job.ts';

type Fixed = Pick<ServedJob, 'config' | 'startedAtMs' | 'checkpointStorageUrl'>;

/** A job that a JobManager coordinates. */
export function servedByJobManager(jobManager: JobManager, input: JobManagerInput, fixed: Fixed): ServedJob {
  return {
    ...fixed,
    graph: input.graph,
    status: () => jobManager.status(),
    history: jobManager.history,
    subtasks: () => servedSubtasks(jobManager.execution),
    taskManagers: () => jobManager.taskManagers(),
    usedSlots: (taskManagerId) => jobManager.execution?.usedSlots(taskManagerId) ?? 0,
    requestSavepoint: (request) => jobManager.requestSavepoint(request),
    savepoints: () => jobManager.savepoints(),
    releaseSavepoint: (request) => jobManager.releaseSavepoint(request),
    requestStop: (request) => jobManager.requestStop(request),
    cancel: (request) => jobManager.cancel(request),
    operation: (operationId) => jobManager.operation(operationId),
  };
}

function servedSubtasks(execution: Execution | undefined): readonly ServedSubtask[] {
  return (execution?.subtasks ?? []).flatMap((task) => {
    const window = execution?.metricsOf(task);
    const taskManagerId = execution?.taskManagerOf(task);
    return window === undefined || taskManagerId === undefined ? [] : [{ taskManagerId, window }];
  });
}

/** A job that is not there yet, or, with an error, never will be: its module cannot be loaded, its storage cannot be named. */
export function servedWithoutJobManager(error: ErrorInfo | undefined, sinceMs: number, fixed: Fixed): ServedJob {
  const { config } = fixed;
  const { parallelism, maxParallelism } = config.job;
  const graph = { ...emptyGraph, name: config.lineage.name, parallelism, maxParallelism };
  const status = () =>
    jobStatus({
      ...{ input: { config, graph }, state: error === undefined ? 'Initializing' : 'Refused', stateSinceMs: sinceMs, error },
      ...{ epoch: undefined, executionAttempt: 0, restarts: 0, restored: undefined, latest: undefined, execution: undefined },
      ...{ checkpointCounts: { completed: 0, failed: 0, inProgress: 0 }, offeredSlots: [], operations: [], closed: undefined },
    });
  const refuse = () => {
    throw new JobError(`the job is ${status().state} and nothing can be asked of it`, {
      ...{ domain: 'user', retry: error === undefined ? 'backoff' : 'never', code: 'JobNotRunning' },
      remedy:
        error === undefined
          ? 'Ask again when the job is Running.'
          : 'Correct what /v1/status names as error, then start the job again.',
    });
  };
  return {
    ...{ ...fixed, graph, status },
    ...{ history: new JobHistory(), subtasks: () => [], taskManagers: () => [], usedSlots: () => 0 },
    ...{
      savepoints: () => [],
      requestSavepoint: refuse,
      releaseSavepoint: refuse,
      requestStop: refuse,
      cancel: refuse,
      operation: () => undefined,
    },
  };
}
