// End-to-end guarantees of sinks by what stands before them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordCountGraph } from '../../../test/fakes/job-graphs.ts';
import type { JobGraph, OperatorDescription } from '../job-graph/job-graph.ts';
import { sinkGuarantees } from './sink-guarantees.ts';

function withOperator(change: (operator: OperatorDescription) => OperatorDescription): JobGraph {
  const graph = wordCountGraph();
  return { ...graph, vertices: graph.vertices.map((vertex) => ({ ...vertex, operators: vertex.operators.map(change) })) };
}

test('a sink gives what it says when all its sources can be read again', () => {
  assert.deepEqual(
    sinkGuarantees(wordCountGraph(), 'ExactlyOnce').map(({ uid, guarantee }) => [uid, guarantee]),
    [['out', 'ExactlyOnce']],
  );
  const weak = withOperator((operator) => (operator.sink ? { ...operator, sink: { guarantee: 'AtLeastOnce' } } : operator));
  assert.equal(sinkGuarantees(weak, 'ExactlyOnce')[0]?.guarantee, 'AtLeastOnce');
});

test('a source that cannot be read twice makes every sink behind it at most once, and is named', () => {
  const graph = withOperator((operator) =>
    operator.source ? { ...operator, source: { ...operator.source, replayable: false } } : operator,
  );
  const [found] = sinkGuarantees(graph, 'ExactlyOnce');
  assert.equal(found?.guarantee, 'AtMostOnce');
  assert.match(found?.reason ?? '', /'lines'/);
});

test('without alignment no sink gives more than at-least-once, and a source that cannot be read twice still gives less', () => {
  assert.deepEqual(
    sinkGuarantees(wordCountGraph(), 'AtLeastOnce').map(({ guarantee }) => guarantee),
    ['AtLeastOnce'],
  );
});
