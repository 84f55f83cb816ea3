import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobStatus } from '../../../test/fakes/live-view.ts';
import { addSample, noRates, sparkline, vertexRate } from './rates.ts';

function statusAt(recordsOut: number, executionAttempt = 1) {
  const vertex = {
    id: 'text',
    name: 'text',
    parallelism: 1,
    runningSubtasks: 1,
    endedSubtasks: 0,
    recordsIn: 0,
    recordsOut,
    stateSizeBytes: 0,
    lateRecordsDropped: 0,
  };
  return jobStatus({ executionAttempt, vertices: [vertex] });
}

test('a rate is the mean over the last seconds', () => {
  let history = addSample(noRates, statusAt(0), 0);
  assert.equal(vertexRate(history, 'text'), undefined);
  for (let second = 1; second <= 20; second++) {
    history = addSample(history, statusAt(second <= 10 ? second * 100 : 1000), second * 1000);
  }
  assert.deepEqual(vertexRate(history, 'text'), { recordsInPerSecond: 0, recordsOutPerSecond: 0 });
  history = addSample(history, statusAt(1500), 21_000);
  assert.equal(vertexRate(history, 'text')?.recordsOutPerSecond, 100);
  assert.deepEqual(history.throughput.slice(-3), [0, 0, 250]);
});

test('counters that start again with a new execution give no rate below zero', () => {
  let history = addSample(addSample(noRates, statusAt(5000), 0), statusAt(5100), 1000);
  history = addSample(history, statusAt(10, 2), 2000);
  assert.equal(vertexRate(history, 'text'), undefined);
  history = addSample(history, statusAt(60, 2), 3000);
  assert.equal(vertexRate(history, 'text')?.recordsOutPerSecond, 50);
  history = addSample(history, statusAt(5, 2), 4000);
  assert.equal(vertexRate(history, 'text')?.recordsOutPerSecond, 0);
});

test('memory stays bounded however often samples come', () => {
  let history = noRates;
  for (let index = 0; index < 1000; index++) {
    history = addSample(history, statusAt(index), index);
  }
  assert(history.samples.length <= 50 && history.throughput.length <= 120);
});

test('the bars scale to the tallest that is shown', () => {
  assert.equal(sparkline([0, 1, 4, 8], 4), ' ▁▄█');
  assert.equal(sparkline([100, 1, 1], 2), '██');
  assert.equal(sparkline([0, 0], 5), '  ');
  assert.equal(sparkline([1, 2], 0), '');
});
