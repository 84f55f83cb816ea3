import type { AggregatedMetricsDocument, BackPressureDocument, MetricsDocument } from '../../api/rest-documents.ts';
import type { JobVertex } from '../../core/job-graph/job-graph.ts';
import { newest, ratesOf } from '../../core/metrics/metric-window.ts';
import { subtaskValues } from '../../core/metrics/subtask-values.ts';
import { type JobManagerMetric, jobManagerValues, jobValues } from '../metrics/job-samples.ts';
import type { RegisteredTaskManager } from '../task-managers.ts';
import type { ServedJob, ServedSubtask } from './served-job.ts';

// What a vertex and its subtasks measure, as Flink's clients know it. Pure.

/** Flink's bounds. */
const lowRatioMin = 0.1;
const highRatioMin = 0.5;

export function backPressureDocument(job: ServedJob, vertex: JobVertex, nowMs: number): BackPressureDocument {
  const { executionAttempt } = job.status();
  const subtasks = subtasksOf(job, vertex).flatMap(({ window }) => {
    const rates = ratesOf(window);
    if (rates === undefined) {
      return [];
    }
    const ratio = rates.backPressuredMsPerSecond / 1000;
    return [
      {
        subtask: newest(window).task.subtaskIndex,
        'attempt-number': executionAttempt,
        ...levelOf(ratio),
        ratio,
        busyRatio: rates.busyMsPerSecond / 1000,
        idleRatio: rates.idleMsPerSecond / 1000,
      },
    ];
  });
  if (subtasks.length === 0) {
    return { status: 'deprecated' };
  }
  return {
    status: 'ok',
    ...levelOf(Math.max(...subtasks.map(({ ratio }) => ratio))),
    'end-timestamp': nowMs,
    subtasks,
  };
}

function levelOf(ratio: number) {
  const level = ratio > highRatioMin ? 'high' : ratio > lowRatioMin ? 'low' : 'ok';
  return { backpressureLevel: level, 'backpressure-level': level } as const;
}

/** `0.numRecordsIn`, and `0.<operator>.numRecordsIn`. */
export function vertexMetrics(job: ServedJob, vertex: JobVertex): ReadonlyMap<string, number> {
  return new Map(
    subtasksOf(job, vertex).flatMap((subtask) =>
      [...subtaskMetrics(subtask)].map(
        ([name, value]) => [`${newest(subtask.window).task.subtaskIndex}.${name}`, value] as const,
      ),
    ),
  );
}

export function subtasksOf(job: ServedJob, { id }: JobVertex): readonly ServedSubtask[] {
  return job.subtasks().filter(({ window }) => newest(window).task.vertexId === id);
}

export function subtaskMetrics({ window }: ServedSubtask): ReadonlyMap<string, number> {
  return new Map([
    ...Object.entries(subtaskValues(window)),
    ...newest(window).operators.map(({ uid, name, value }) => [`${uid}.${name}`, value] as const),
  ]);
}

export function jobMetrics(job: ServedJob, nowMs: number): ReadonlyMap<string, number> {
  return new Map(
    Object.entries(jobValues(job, nowMs)).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
  );
}

export function jobManagerMetrics(job: ServedJob, process: readonly JobManagerMetric[]): ReadonlyMap<string, number> {
  return new Map(jobManagerValues(job, process).map(({ name, labels, value }) => [labelled(name, labels), value]));
}

export function taskManagerMetrics({ metrics }: RegisteredTaskManager): ReadonlyMap<string, number> {
  return new Map(metrics.map(({ name, labels, value }) => [labelled(name, labels), value]));
}

/** Flink's metric ids have no labels: `heapUsed.slots-0`. */
function labelled(name: string, labels: Readonly<Record<string, string>> = {}): string {
  return [name, ...Object.values(labels)].join('.');
}

/** All names, or the values of those asked for that there are. */
export function metricsDocument(metrics: ReadonlyMap<string, number>, query: URLSearchParams): MetricsDocument {
  const asked = listIn(query, 'get');
  return asked === undefined
    ? [...metrics.keys()].map((id) => ({ id }))
    : asked.flatMap((id) => {
        const value = metrics.get(id);
        return value === undefined ? [] : [{ id, value: String(value) }];
      });
}

export function watermarksDocument(job: ServedJob, vertex: JobVertex): MetricsDocument {
  return subtasksOf(job, vertex).flatMap(({ window }) => {
    const { task, watermarkMs } = newest(window);
    return watermarkMs === undefined ? [] : [{ id: `${task.subtaskIndex}.currentInputWatermark`, value: String(watermarkMs) }];
  });
}

const aggregations = {
  min: (values: readonly number[]) => Math.min(...values),
  max: (values: readonly number[]) => Math.max(...values),
  avg: (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length,
  sum: (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0),
} as const;

type Aggregation = keyof typeof aggregations;

/** Over `parts` (subtasks, or TaskManagers): all names, or what `agg` says of those asked for. */
export function aggregatedDocument(
  parts: readonly ReadonlyMap<string, number>[],
  query: URLSearchParams,
): AggregatedMetricsDocument {
  const asked = listIn(query, 'get');
  if (asked === undefined) {
    return [...new Set(parts.flatMap((part) => [...part.keys()]))].map((id) => ({ id }));
  }
  const wanted = (listIn(query, 'agg') ?? Object.keys(aggregations)).filter((name): name is Aggregation => name in aggregations);
  return asked.flatMap((id) => {
    const values = parts.flatMap((part) => part.get(id) ?? []);
    const aggregated = wanted.map((name) => [name, aggregations[name](values)] as const);
    return values.length === 0 ? [] : [{ id, ...Object.fromEntries(aggregated) }];
  });
}

function listIn(query: URLSearchParams, name: string): readonly string[] | undefined {
  const text = query.get(name);
  return text === null || text === '' ? undefined : text.split(',');
}
