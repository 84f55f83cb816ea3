import type { JobVertex } from '../../core/job-graph/job-graph.ts';
import { newest } from '../../core/metrics/metric-window.ts';
import { type JobManagerMetric, jobManagerSamples, wholeJobSamples } from '../metrics/job-samples.ts';
import { notFound } from './not-found.ts';
import { prometheusRoute } from './prometheus-route.ts';
import { invalidRequest } from './request-bodies.ts';
import type { RestRequest, Route } from './route.ts';
import type { ServedJob } from './served-job.ts';
import {
  aggregatedDocument,
  backPressureDocument,
  jobManagerMetrics,
  jobMetrics,
  metricsDocument,
  subtaskMetrics,
  subtasksOf,
  taskManagerMetrics,
  vertexMetrics,
  watermarksDocument,
} from './vertex-documents.ts';

export interface MetricsPorts {
  readonly nowMs: () => number;
  /** Of the process that serves this. */
  readonly measureProcess: () => readonly JobManagerMetric[];
}

/**
 * `/metrics` for Prometheus, and Flink's paths to the same numbers. `/metrics` is the whole job; whoever scrapes TaskManagers too takes
 * `/metrics/jobmanager`, or everything would be there twice.
 */
export function metricsRoutes(job: ServedJob, { nowMs, measureProcess }: MetricsPorts): readonly Route[] {
  const get = (path: string, handle: (request: RestRequest) => object): Route => ({
    ...{ method: 'GET', path },
    handle: (request) => ({ status: 200, document: handle(request) }),
  });
  const vertex = '/jobs/:jobId/vertices/:vertexId';
  return [
    prometheusRoute('/metrics', () => wholeJobSamples(job, measureProcess(), nowMs())),
    prometheusRoute('/metrics/jobmanager', () => jobManagerSamples(job, measureProcess(), nowMs())),
    get('/jobmanager/metrics', ({ query }) => metricsDocument(jobManagerMetrics(job, measureProcess()), query)),
    get('/jobs/:jobId/metrics', ({ query }) => metricsDocument(jobMetrics(job, nowMs()), query)),
    get(`${vertex}/backpressure`, ({ parameters }) => backPressureDocument(job, vertexOf(job, parameters), nowMs())),
    get(`${vertex}/watermarks`, ({ parameters }) => watermarksDocument(job, vertexOf(job, parameters))),
    get(`${vertex}/metrics`, ({ parameters, query }) => metricsDocument(vertexMetrics(job, vertexOf(job, parameters)), query)),
    get(`${vertex}/subtasks/metrics`, ({ parameters, query }) => {
      const subtasks = subtasksOf(job, vertexOf(job, parameters)).filter(isAsked(query.get('subtasks')));
      return aggregatedDocument(subtasks.map(subtaskMetrics), query);
    }),
    get(`${vertex}/subtasks/:subtaskIndex/metrics`, ({ parameters, query }) => {
      const subtask = subtasksOf(job, vertexOf(job, parameters)).find(isAsked(parameters['subtaskIndex'] ?? ''));
      return metricsDocument(subtask === undefined ? new Map() : subtaskMetrics(subtask), query);
    }),
    get('/taskmanagers/metrics', ({ query }) => aggregatedDocument(job.taskManagers().map(taskManagerMetrics), query)),
    get('/taskmanagers/:taskManagerId/metrics', ({ parameters, query }) => {
      const { taskManagerId } = parameters;
      const taskManager = job.taskManagers().find((registered) => registered.taskManagerId === taskManagerId);
      if (taskManager === undefined) {
        throw notFound(`TaskManager ${taskManagerId} is not registered`, 'GET /taskmanagers lists those that are.');
      }
      return metricsDocument(taskManagerMetrics(taskManager), query);
    }),
  ];
}

export function vertexOf(job: ServedJob, { vertexId }: RestRequest['parameters']): JobVertex {
  const vertex = job.graph.vertices.find(({ id }) => id === vertexId);
  if (vertex === undefined) {
    throw notFound(`vertex ${vertexId} is not part of the job`, 'GET /jobs/:jobId lists its vertices.');
  }
  return vertex;
}

/** Flink's way to name some of the subtasks: `0,2-4`; all when it says nothing. */
function isAsked(ranges: string | null): (subtask: { readonly window: Parameters<typeof newest>[0] }) => boolean {
  if (ranges === null || ranges === '') {
    return () => true;
  }
  const bounds = ranges.split(',').map((range) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
    if (match === null) {
      throw invalidRequest(`subtasks: '${range}' is no range`, 'Use numbers and ranges such as 0,2-4.');
    }
    return { first: Number(match[1]), last: Number(match[2] ?? match[1]) };
  });
  return ({ window }) => {
    const { subtaskIndex } = newest(window).task;
    return bounds.some(({ first, last }) => subtaskIndex >= first && subtaskIndex <= last);
  };
}
