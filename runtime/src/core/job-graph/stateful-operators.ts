import type { JobGraph, JobVertex, OperatorDescription } from './job-graph.ts';

/** An operator with state, in the graph that is to be started. */
export interface StatefulOperator {
  readonly uid: string;
  readonly operator: OperatorDescription;
  readonly vertex: JobVertex;
}

export function statefulOperators(graph: JobGraph): readonly StatefulOperator[] {
  return graph.vertices.flatMap((vertex) =>
    vertex.operators.flatMap((operator) =>
      operator.uid !== undefined && isStateful(operator) ? [{ uid: operator.uid, operator, vertex }] : [],
    ),
  );
}

/** Whether it would miss something if it started empty: a sink that has nothing pending would not. */
export function keepsState({ keyed, source, broadcast, operatorLists }: OperatorDescription): boolean {
  return [keyed, source, broadcast, operatorLists].some((state) => state !== undefined);
}

/** Whether checkpoints have a place for it. */
export function isStateful({ keyed, source, sink, broadcast, operatorLists }: OperatorDescription): boolean {
  return [keyed, source, sink, broadcast, operatorLists].some((state) => state !== undefined);
}
