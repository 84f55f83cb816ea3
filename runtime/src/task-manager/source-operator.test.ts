// How far a source is behind, as metrics show it. Reading, positions and event time are tested with TaskManagers and real connectors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operator } from '../../test/fakes/job-graphs.ts';
import type { Source, SourceReader } from '../core/job-graph/source.ts';
import { watermarkIntervalMs } from '../core/time/watermark-strategy.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import { OperatorMetricGroup } from './operator-metric-group.ts';
import { SourceOperator } from './source-operator.ts';

const day = 1_700_000_000_000;

function sourceOf(reader: Partial<SourceReader<unknown, unknown>>, clock: { nowMs: number }) {
  const whole: SourceReader<unknown, unknown> = {
    poll: () => ({ splitId: 'only', records: [day - 500, day - 700] }),
    positions: () => [],
    close: async () => {},
    ...reader,
  };
  const source: Source<unknown, unknown> = {
    ...{ name: 'test', bounded: false, replayable: true, parallelismMax: undefined, discoverSplits: async () => [] },
    recordType: t.int as Type<unknown>,
    positionType: t.int as Type<unknown>,
    createReader: () => whole,
  };
  const sourceOperator = new SourceOperator({
    ...{ operator: operator({ id: 'events', type: 'source' }), source },
    watermarks: { timestampMs: Number, outOfOrdernessMs: 100, idleMs: undefined, alignment: undefined },
    splits: [{ splitId: 'only', positionBase64: 'AA==' }],
    context: {
      ...{ subtaskIndex: 0, parallelism: 1, wake: () => {}, fail: () => {}, metrics: new OperatorMetricGroup('events') },
      nowMs: () => day + clock.nowMs,
    },
    monotonicMs: () => clock.nowMs,
  });
  sourceOperator.open();
  return sourceOperator;
}

test('lags are against the clock when the record was read, and silence grows', () => {
  const clock = { nowMs: 0 };
  const source = sourceOf({ pendingBytes: () => 12 }, clock);
  const nothing = { pendingRecords: undefined, currentEmitEventTimeLag: undefined, watermarkLag: undefined };
  assert.deepEqual(source.measure(), { ...nothing, pendingBytes: 12, sourceIdleTime: undefined });
  const polled = source.poll(10);
  assert.ok(typeof polled === 'object');
  source.eventTime?.timestamps(polled.records, polled.splitId);
  clock.nowMs += watermarkIntervalMs;
  source.eventTime?.tick();
  assert.deepEqual(source.measure(), {
    ...{ pendingRecords: undefined, pendingBytes: 12, currentEmitEventTimeLag: 700, sourceIdleTime: watermarkIntervalMs },
    // The highest event time so far, less what may be out of order, and one: a record of just that time may still come.
    watermarkLag: watermarkIntervalMs + 500 + 100 + 1,
  });
});

test('a reader that cannot say how far it is behind fails by the name of its operator, not the thread', () => {
  const broken = sourceOf({ pendingRecords: () => assert.fail('no idea') }, { nowMs: 0 });
  assert.throws(
    () => broken.measure(),
    (error) => error instanceof OperatorFailure && /'events'|events/.test(error.message),
  );
});
