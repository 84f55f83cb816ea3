import { assert } from '../../core/assert.ts';
import type { JobEdge, JobGraph } from '../../core/job-graph/job-graph.ts';
import type { SubtaskId } from '../../core/protocol/messages.ts';

/**
 * The channels of a job, numbered: one per pair of subtasks that an edge connects. Every process computes the same plan from the same
 * graph, so that a number is all that travels with a page.
 */
export interface ChannelPlan {
  readonly edges: readonly EdgeChannels[];
  readonly channelCount: number;
}

export interface EdgeChannels {
  readonly edge: JobEdge;
  readonly firstChannel: number;
  readonly producers: number;
  readonly consumers: number;
}

export interface Channel {
  readonly number: number;
  readonly edge: JobEdge;
  readonly producer: SubtaskId;
  readonly consumer: SubtaskId;
}

export function planChannels(graph: JobGraph): ChannelPlan {
  const parallelism = new Map(graph.vertices.map((vertex) => [vertex.id, vertex.parallelism]));
  const edges: EdgeChannels[] = [];
  let channelCount = 0;
  for (const edge of graph.edges) {
    const producers = parallelism.get(edge.from);
    const consumers = parallelism.get(edge.to);
    assert(producers !== undefined && consumers !== undefined, `edge ${edge.id} names a vertex that is not in the graph`);
    assert(edge.partitioning !== 'Forward' || producers === consumers, `forward edge ${edge.id} changes the parallelism`);
    edges.push({ edge, firstChannel: channelCount, producers, consumers });
    channelCount += edge.partitioning === 'Forward' ? producers : producers * consumers;
  }
  return { edges, channelCount };
}

/** The channels that a producing subtask writes on one edge, by consumer. */
export function outputChannels(edgeChannels: EdgeChannels, producerIndex: number): readonly Channel[] {
  if (edgeChannels.edge.partitioning === 'Forward') {
    return [channelBetween(edgeChannels, producerIndex, producerIndex)];
  }
  return Array.from({ length: edgeChannels.consumers }, (_, consumer) => channelBetween(edgeChannels, producerIndex, consumer));
}

/** The channels that a consuming subtask reads on one edge, by producer. */
export function inputChannels(edgeChannels: EdgeChannels, consumerIndex: number): readonly Channel[] {
  if (edgeChannels.edge.partitioning === 'Forward') {
    return [channelBetween(edgeChannels, consumerIndex, consumerIndex)];
  }
  return Array.from({ length: edgeChannels.producers }, (_, producer) => channelBetween(edgeChannels, producer, consumerIndex));
}

function channelBetween({ edge, firstChannel, consumers }: EdgeChannels, producerIndex: number, consumerIndex: number): Channel {
  const offset = edge.partitioning === 'Forward' ? producerIndex : producerIndex * consumers + consumerIndex;
  return {
    number: firstChannel + offset,
    edge,
    producer: { vertexId: edge.from, subtaskIndex: producerIndex },
    consumer: { vertexId: edge.to, subtaskIndex: consumerIndex },
  };
}
