import type { JobGraph, JobVertex } from '../job-graph/job-graph.ts';
import type { CheckpointMode } from './checkpoint-mode.ts';

export interface SinkGuarantee {
  readonly uid: string;
  readonly guarantee: 'ExactlyOnce' | 'AtLeastOnce' | 'AtMostOnce';
  readonly reason: string;
}

/** Pure: what every sink gives end to end, which is no more than the sources before it allow. */
export function sinkGuarantees(graph: JobGraph, mode: CheckpointMode): readonly SinkGuarantee[] {
  return graph.vertices.flatMap((vertex) =>
    vertex.operators.flatMap(({ uid, id, sink }) =>
      sink === undefined ? [] : [guaranteeOf(graph, vertex, { uid: uid ?? id, ...sink }, mode)],
    ),
  );
}

function guaranteeOf(
  graph: JobGraph,
  vertex: JobVertex,
  sink: { readonly uid: string; readonly guarantee: 'ExactlyOnce' | 'AtLeastOnce' },
  mode: CheckpointMode,
): SinkGuarantee {
  const forgetful = upstream(graph, vertex)
    .flatMap(({ operators }) => operators)
    .find(({ source }) => source?.replayable === false);
  if (forgetful !== undefined) {
    const reason = `source '${forgetful.uid ?? forgetful.id}' cannot be read twice: a failure loses what was read since the last checkpoint`;
    return { uid: sink.uid, guarantee: 'AtMostOnce', reason };
  }
  if (mode === 'AtLeastOnce') {
    const reason =
      'checkpoints.mode is AtLeastOnce: after a failure, records that were between the barriers of two channels count twice';
    return { uid: sink.uid, guarantee: 'AtLeastOnce', reason };
  }
  const reason =
    sink.guarantee === 'ExactlyOnce'
      ? 'sources can be read again, and output is committed with the checkpoint'
      : 'sources can be read again, and output is visible before the checkpoint: a failure repeats what was written since then';
  return { uid: sink.uid, guarantee: sink.guarantee, reason };
}

/** The vertex and everything before it. Edges go from earlier to later vertices, so one pass backwards finds all. */
function upstream(graph: JobGraph, vertex: JobVertex): readonly JobVertex[] {
  const found = new Set([vertex.id]);
  for (const { id } of graph.vertices.toReversed()) {
    if (graph.edges.some(({ from, to }) => from === id && found.has(to))) {
      found.add(id);
    }
  }
  return graph.vertices.filter(({ id }) => found.has(id));
}
