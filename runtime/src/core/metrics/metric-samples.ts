import type { JobGraph } from '../job-graph/job-graph.ts';
import type { ProcessMetric } from '../protocol/messages.ts';
import { type MetricScope, metricScopes, servedName, userMetricPrefix } from './metric-definitions.ts';
import { type MetricWindow, newest } from './metric-window.ts';
import type { MetricSample } from './prometheus-text.ts';
import { subtaskValues } from './subtask-values.ts';

type Labels = Readonly<Record<string, string>>;

/** A value by one of the scope's names. What the scope does not define is not served, and `value` undefined is nothing to serve. */
export function sampleOf(scope: MetricScope, name: string, value: number | undefined, labels: Labels): readonly MetricSample[] {
  const definition = scope.definitions[name];
  if (definition === undefined || value === undefined) {
    return [];
  }
  const { kind, help } = definition;
  return [{ name: servedName(scope, name), type: kind === 'Counter' ? 'counter' : 'gauge', help, labels, value }];
}

/** Of all subtasks that have reported, with their operators. `jobId` and the graph name them. */
export function subtaskSamples(
  { jobId, graph }: { readonly jobId: string; readonly graph: JobGraph },
  subtasks: readonly { readonly taskManagerId: string; readonly window: MetricWindow }[],
): readonly MetricSample[] {
  const vertices = new Map(graph.vertices.map((vertex) => [vertex.id, vertex]));
  return subtasks.flatMap(({ taskManagerId, window }) => {
    const { task, operators } = newest(window);
    const vertex = vertices.get(task.vertexId);
    const labels: Labels = {
      job_id: jobId,
      job_name: graph.name,
      task_id: task.vertexId,
      task_name: vertex?.name ?? task.vertexId,
      subtask_index: String(task.subtaskIndex),
      tm_id: taskManagerId,
    };
    const operatorLabels = new Map(
      vertex?.operators.map(({ id, name }): [string, Labels] => [id, { ...labels, operator_id: id, operator_name: name }]),
    );
    return [
      ...Object.entries(subtaskValues(window)).flatMap(([name, value]) => sampleOf(metricScopes.task, name, value, labels)),
      ...operators.flatMap(({ uid, name, kind, value }) => {
        const own = operatorLabels.get(uid);
        if (own === undefined) {
          return [];
        }
        return name.startsWith(userMetricPrefix)
          ? [userSample({ uid, name, kind, value }, own)]
          : sampleOf(metricScopes.operator, name, value, own);
      }),
    ];
  });
}

export function taskManagerSamples(taskManagerId: string, metrics: readonly ProcessMetric[]): readonly MetricSample[] {
  return metrics.flatMap(({ name, labels, value }) =>
    sampleOf(metricScopes.taskManager, name, value, { tm_id: taskManagerId, ...labels }),
  );
}

function userSample(
  { uid, name, kind, value }: { readonly uid: string; readonly name: string; readonly kind: string; readonly value: number },
  labels: Labels,
): MetricSample {
  return {
    name: servedName(metricScopes.operator, name),
    type: kind === 'Counter' ? 'counter' : 'gauge',
    help: `Registered by operator ${uid} of the job.`,
    labels,
    value,
  };
}
