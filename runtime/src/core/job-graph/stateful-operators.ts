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

/** Whether checkpoints have a place for it. */
export function isStateful({ keyed, source, sink, broadcast, operatorLists }: OperatorDescription): boolean {
  return [keyed, source, sink, broadcast, operatorLists].some((state) => state !== undefined);
}
