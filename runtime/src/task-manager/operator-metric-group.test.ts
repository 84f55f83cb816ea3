// What authors of jobs register. How it reaches `/metrics` is tested with a real job.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatorMetricGroup } from './operator-metric-group.ts';

test('counters, gauges and histograms are measured under user_', () => {
  const group = new OperatorMetricGroup('counts');
  group.counter('orders').inc();
  group.counter('orders').inc(4);
  group.gauge('queue').set(-2.5);
  group.gauge('neverSet');
  for (let value = 100; value >= 1; value--) {
    group.histogram('latency').update(value);
  }
  group.histogram('empty');
  const measured = Object.fromEntries(group.measure().map(({ name, kind, value }) => [name, `${kind} ${value}`]));
  assert.deepEqual(measured, {
    user_orders: 'Counter 5',
    user_queue: 'Gauge -2.5',
    user_latency_count: 'Counter 100',
    user_latency_sum: 'Counter 5050',
    user_latency_p50: 'Gauge 51',
    user_latency_p95: 'Gauge 96',
    user_latency_p99: 'Gauge 100',
    user_empty_count: 'Counter 0',
    user_empty_sum: 'Counter 0',
  });
});

test('a histogram shows quantiles of the last values, whatever came before', () => {
  const group = new OperatorMetricGroup('counts');
  for (let index = 0; index < 5000; index++) {
    group.histogram('latency').update(index < 2000 ? 1e6 : 7);
  }
  assert.equal(group.measure().find(({ name }) => name === 'user_latency_p99')?.value, 7);
});

test('names that cannot be served, too many of them, and one name of two kinds are errors by name', () => {
  const group = new OperatorMetricGroup('counts');
  for (const name of ['', '1st', 'with-dash', 'übel', 'a'.repeat(65)]) {
    assert.throws(() => group.counter(name), { code: 'MetricNameInvalid', message: /operator 'counts'/ });
  }
  group.counter('a');
  assert.throws(() => group.gauge('a'), { code: 'MetricKindMismatch', message: /'a' as a gauge, which is a counter/ });
  for (let index = 1; index < 50; index++) {
    group.gauge(`g${index}`);
  }
  assert.throws(() => group.counter('oneMore'), { code: 'TooManyMetrics', message: /'oneMore'/ });
  assert.doesNotThrow(() => group.counter('a').inc(0));
  assert.throws(() => group.counter('a').inc(-1), RangeError);
});
