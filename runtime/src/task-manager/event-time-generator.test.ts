// Event times and watermarks as a task makes them: when, how often, and what a rest does. What the watermark of several splits is, is tested with
// `SplitWatermarks`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operator } from '../../test/fakes/job-graphs.ts';
import { JobError } from '../core/job-error.ts';
import { minTimestampMs } from '../core/time/event-time.ts';
import { type WatermarkStrategy, watermarkIntervalMs } from '../core/time/watermark-strategy.ts';
import { checkTimestamp } from './chain/check-timestamp.ts';
import { OperatorFailure } from './chain/operator-failure.ts';
import { EventTimeGenerator, type EventTimeSource } from './event-time-generator.ts';

class Clock {
  nowMs = 1000;

  /** To the next time when a watermark may be due. */
  next(intervals = 1): void {
    this.nowMs += watermarkIntervalMs * intervals;
  }
}

function generator(
  clock: Clock,
  options: { readonly source?: EventTimeSource; readonly strategy?: Partial<WatermarkStrategy> } = {},
) {
  return new EventTimeGenerator({
    operator: operator({ id: 'events', type: 'timestamps' }),
    strategy: { timestampMs: Number, outOfOrdernessMs: 10, idleMs: undefined, alignment: undefined, ...options.strategy },
    source: options.source,
    monotonicMs: () => clock.nowMs,
  });
}

test('records get their event times, and a watermark follows at most so often and only when it is another', () => {
  const clock = new Clock();
  const events = generator(clock);
  assert.deepEqual(events.timestamps(['50', '70', '60']), Float64Array.of(50, 70, 60));
  assert.equal(events.tick(), undefined, 'not before its time');
  assert.equal(events.nextTickMs, 1000 + watermarkIntervalMs);
  clock.next();
  assert.deepEqual(events.tick(), { timestampMs: 59, isIdle: false });
  events.timestamps(['55']);
  clock.next();
  assert.equal(events.tick(), undefined, 'nothing later has come');
  events.timestamps(['100']);
  clock.next();
  assert.deepEqual(events.tick(), { timestampMs: 89, isIdle: false });
});

test('an event time that is none is refused with the name of the operator', () => {
  for (const record of ['x', '1.5', `${2 ** 53}`]) {
    assert.throws(
      () => generator(new Clock()).timestamps([record]),
      (error) => error instanceof OperatorFailure && (error.cause as { code?: string }).code === 'TimestampInvalid',
    );
  }
});

test('an event time of another type is shown as what it is', () => {
  for (const [wrong, shown] of [
    ['1700000000000', 'the string "1700000000000"'],
    [1_700_000_000_000n, 'a bigint'],
    [new Date(1_700_000_000_000), 'an instance of Date'],
  ]) {
    assert.throws(
      () => checkTimestamp(wrong as never),
      (error) => error instanceof JobError && error.message === `a record was given ${shown} as its event time`,
    );
  }
});

test('nothing becomes idle while nobody takes records', () => {
  const clock = new Clock();
  const events = generator(clock, { strategy: { idleMs: 500 } });
  events.timestamps(['50']);
  events.rest();
  clock.next(100);
  events.rest();
  assert.deepEqual(events.tick(), { timestampMs: 39, isIdle: false });
  clock.next(3);
  assert.deepEqual(events.tick(), { timestampMs: 39, isIdle: true });
  events.timestamps(['51']);
  assert.deepEqual(events.tick(), { timestampMs: 40, isIdle: false }, 'that it is back is said at once');
  events.timestamps(['60']);
  assert.equal(events.tick(), undefined);
});

test('splits have their own event times, which a checkpoint keeps', () => {
  const clock = new Clock();
  const splits = [
    { splitId: 'a', maxTimestampMs: 100 },
    { splitId: 'b', maxTimestampMs: undefined },
  ];
  const events = generator(clock, { source: { splits, reader: {} } });
  clock.next();
  assert.equal(events.tick(), undefined, 'b has not begun');
  events.timestamps(['60'], 'b');
  clock.next();
  assert.deepEqual(events.tick(), { timestampMs: 49, isIdle: false });
  assert.equal(events.splitWatermarkMs('a'), 89);
  events.finishSplit('b');
  clock.next();
  assert.deepEqual(events.tick(), { timestampMs: 89, isIdle: false });
  assert.deepEqual(events.splitTimes(), [
    { splitId: 'a', maxTimestampMs: 100 },
    { splitId: 'b', maxTimestampMs: 60 },
  ]);
});

test('a source subtask without splits is idle, and holds nobody up', () => {
  const clock = new Clock();
  const events = generator(clock, { source: { splits: [], reader: {} } });
  clock.next();
  assert.deepEqual(events.tick(), { timestampMs: minTimestampMs, isIdle: true });
});

test('splits that are too far ahead of the others are left out of reading until these have come after', () => {
  const clock = new Clock();
  const paused: string[][] = [];
  const events = generator(clock, {
    source: {
      splits: ['a', 'b'].map((splitId) => ({ splitId, maxTimestampMs: undefined })),
      reader: { pauseSplits: (splitIds) => paused.push([...splitIds]) },
    },
    strategy: { alignment: { group: 'g', maxDriftMs: 100 } },
  });
  events.timestamps(['50'], 'a');
  events.timestamps(['500'], 'b');
  clock.next();
  events.tick();
  assert.deepEqual(paused.splice(0), [['b']]);
  events.timestamps(['140'], 'a');
  clock.next();
  events.tick();
  events.timestamps(['220'], 'a');
  clock.next();
  events.tick();
  events.timestamps(['300'], 'a');
  events.timestamps(['390'], 'a');
  clock.next();
  events.tick();
  assert.deepEqual(paused.at(-1), ['b']);
  events.timestamps(['450'], 'a');
  clock.next();
  events.tick();
  assert.deepEqual(paused.at(-1), []);
  assert.equal(events.isReaderPaused, false);
});

test('a reader that cannot leave out a split waits as a whole, and no longer than it must', () => {
  const clock = new Clock();
  const events = generator(clock, {
    source: { splits: [{ splitId: 'a', maxTimestampMs: 50 }], reader: {} },
    strategy: { alignment: { group: 'g', maxDriftMs: 100 } },
  });
  clock.next();
  events.tick();
  assert.equal(events.isReaderPaused, false, 'alone in its group it is the furthest behind');
});

test('nothing becomes idle while the whole thread stands still, without its lease or because the machine was busy', () => {
  const clock = new Clock();
  const events = generator(clock, { strategy: { idleMs: 500 } });
  events.timestamps(['50']);
  clock.next();
  events.tick();
  clock.next(100);
  assert.equal(events.tick(), undefined);
  clock.next(2);
  assert.deepEqual(events.tick(), { timestampMs: 39, isIdle: true });
});

test('a source waits for the others of its group, and at its end nobody waits for it', () => {
  const clock = new Clock();
  const events = generator(clock, {
    source: { splits: [{ splitId: 'a', maxTimestampMs: 500 }], reader: {} },
    strategy: { alignment: { group: 'g', maxDriftMs: 100 } },
  });
  events.align(300);
  assert.deepEqual([events.isReaderPaused, events.minimumMs], [true, 489]);
  events.align(389);
  assert.equal(events.isReaderPaused, false);
  events.end();
  assert.equal(events.minimumMs, undefined);
});

test('the newest record and the last watermark are known, for metrics', () => {
  const clock = new Clock();
  const events = generator(clock);
  assert.deepEqual([events.newestTimestampMs, events.watermarkMs], [undefined, undefined]);
  events.timestamps(['70', '60']);
  clock.next();
  events.tick();
  assert.deepEqual([events.newestTimestampMs, events.watermarkMs], [60, 59]);
});
