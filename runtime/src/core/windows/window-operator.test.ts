/** Rules of windows by name. That all of them together are right over any stream is shown by test/window-streams. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Emitted, KeyedOperator } from '../../../test/fakes/keyed-operator.ts';
import { StateDirectories } from '../../state-backend/conformance-fixtures.ts';
import { createHashmapStateBackendFactory } from '../../state-backend/hashmap/keyed-state-backend.ts';
import { maxTimestampMs } from '../time/event-time.ts';
import { t } from '../types/t.ts';
import type { Type } from '../types/type.ts';
import { type TimeWindow, timeWindowType, windowStart } from './time-window.ts';
import type { WindowAssigner } from './window-assigner.ts';
import type { WindowContentsDefinition } from './window-contents.ts';
import { windowOperator } from './window-operator.ts';

const createBackend = createHashmapStateBackendFactory({ sizeBytesMax: 100_000_000 });
const hourMs = 3_600_000;

const elements: WindowContentsDefinition = { type: 'Elements', elementType: t.string as Type<unknown> };
/** The longest word; `merge` is what makes panes and sessions possible. */
const longest: WindowContentsDefinition = {
  type: 'Aggregate',
  accumulatorType: t.string as Type<unknown>,
  aggregate: {
    createAccumulator: undefined,
    add: (a, b) => (String(b).length > String(a).length ? b : a),
    getResult: (word) => String(word).toUpperCase(),
  },
  merge: (a, b) => (String(b).length > String(a).length ? b : a),
};

function tested(assigner: WindowAssigner, options: { contents?: WindowContentsDefinition; allowedLatenessMs?: number } = {}) {
  return {
    ...windowOperator({
      assigner,
      allowedLatenessMs: options.allowedLatenessMs ?? 0,
      lateOutputTag: undefined,
      contents: options.contents ?? elements,
      emit: (context, window, result) => context.emitAt({ window, result }, window.end - 1),
    }),
    namespaceType: timeWindowType as Type<unknown>,
    keyType: t.string as Type<unknown>,
    select: () => 'key',
  };
}

function shown(emitted: readonly Emitted[]): readonly string[] {
  return emitted.map(({ record, timestampMs }) => {
    const { window, result } = record as { window: TimeWindow; result: unknown };
    assert.equal(timestampMs, window.end - 1);
    return `${window.start}..${window.end} ${result}`;
  });
}

function timerCount({ backends }: KeyedOperator<string>): number {
  return backends.reduce((sum, backend) => sum + (backend.counters()['timers'] ?? 0), 0);
}

const tumbling: WindowAssigner = { type: 'Tumbling', domain: 'EventTime', sizeMs: 10, offsetMs: 0 };

for (const { timestampMs, everyMs, offsetMs, start } of [
  { timestampMs: 0, everyMs: 10, offsetMs: 0, start: 0 },
  { timestampMs: 9, everyMs: 10, offsetMs: 0, start: 0 },
  { timestampMs: 10, everyMs: 10, offsetMs: 0, start: 10 },
  { timestampMs: -1, everyMs: 10, offsetMs: 0, start: -10 },
  { timestampMs: -10, everyMs: 10, offsetMs: 0, start: -10 },
  { timestampMs: -11, everyMs: 10, offsetMs: 0, start: -20 },
  { timestampMs: 2, everyMs: 10, offsetMs: 3, start: -7 },
  { timestampMs: -8, everyMs: 10, offsetMs: -3, start: -13 },
  { timestampMs: 7, everyMs: 10, offsetMs: -3, start: 7 },
]) {
  test(`${timestampMs} is in the window from ${start}, of those every ${everyMs} from ${offsetMs}`, () => {
    assert.equal(windowStart(timestampMs, everyMs, offsetMs), start);
  });
}

test('a day is 24 hours from a fixed offset, also when clocks are put forward or back', () => {
  const dayMs = 24 * hourMs;
  // Midnight at UTC+1. On 31 March 2024 Berlin goes to UTC+2: the next window begins at one o'clock there.
  const start = windowStart(Date.parse('2024-03-31T12:00:00+02:00'), dayMs, -hourMs);
  assert.equal(start, Date.parse('2024-03-31T00:00:00+01:00'));
  assert.equal(windowStart(Date.parse('2024-04-01T12:00:00+02:00'), dayMs, -hourMs), Date.parse('2024-04-01T01:00:00+02:00'));
});

test('a window fires when the watermark reaches its last millisecond, not before', async () => {
  const operator = await KeyedOperator.open(tested(tumbling), { createBackend });
  operator.process(['a', 'b'], [3, 9]);
  operator.watermark(8);
  assert.deepEqual(shown(operator.takeEmitted()), []);
  operator.watermark(9);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..10 a,b']);
  assert.equal(operator.stateSizeBytes, 0);
});

test('within the allowed lateness each late record shows the window once more; after it they are dropped and counted', async () => {
  const operator = await KeyedOperator.open(tested(tumbling, { allowedLatenessMs: 5 }), { createBackend });
  operator.process(['a'], [3]);
  operator.watermark(13);
  operator.process(['b', 'c'], [4, 5]);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..10 a', '0..10 a,b', '0..10 a,b,c']);
  operator.watermark(14);
  assert.equal(operator.stateSizeBytes, 0);
  operator.process(['d'], [9]);
  assert.deepEqual([shown(operator.takeEmitted()), operator.lateRecordCount], [[], 1]);
});

test('a window by the clock takes records until its end', async () => {
  const assigner: WindowAssigner = { type: 'Tumbling', domain: 'ProcessingTime', sizeMs: 10, offsetMs: 0 };
  const operator = await KeyedOperator.open(tested(assigner), { createBackend });
  operator.process(['a']);
  operator.advanceClock(9);
  operator.process(['b']);
  assert.deepEqual(shown(operator.takeEmitted()), []);
  operator.advanceClock(10);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..10 a,b']);
  assert.equal(operator.stateSizeBytes, 0);
});

test('a record of sliding windows is kept once, and all windows of a key wait on one timer', async () => {
  const one = await KeyedOperator.open(tested({ ...tumbling, sizeMs: hourMs }), { createBackend });
  const sixty = await KeyedOperator.open(
    tested({ type: 'Sliding', domain: 'EventTime', sizeMs: hourMs, slideMs: hourMs / 60, offsetMs: 0 }),
    { createBackend },
  );
  for (const operator of [one, sixty]) {
    operator.process(['a'.repeat(1_000)], [5]);
    assert.equal(timerCount(operator), 1);
  }
  assert.ok(sixty.stateSizeBytes < one.stateSizeBytes * 1.2, `${sixty.stateSizeBytes} and ${one.stateSizeBytes}`);
  sixty.process(['b'.repeat(1_000)], [hourMs / 60]);
  // The first window with the new record only is the one that the old one's timer does not lead to yet.
  assert.ok(timerCount(sixty) <= 2);
  sixty.watermark(maxTimestampMs);
  assert.equal(sixty.takeEmitted().length, 61);
  assert.deepEqual([sixty.stateSizeBytes, timerCount(sixty)], [0, 0]);
});

test('an aggregated window is one row and one timer, however many records it has', async () => {
  const operator = await KeyedOperator.open(tested(tumbling, { contents: longest }), { createBackend });
  operator.process(['abc'], [1]);
  const sizeBytes = operator.stateSizeBytes;
  operator.process(['ab', 'cde', 'f'], [2, 3, 4]);
  assert.deepEqual([operator.stateSizeBytes, timerCount(operator)], [sizeBytes, 1]);
  operator.watermark(9);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..10 ABC']);
});

test('panes give a window its records in the order of panes, and within a pane of arrival', async () => {
  const assigner: WindowAssigner = { type: 'Sliding', domain: 'EventTime', sizeMs: 20, slideMs: 10, offsetMs: 0 };
  const operator = await KeyedOperator.open(tested(assigner), { createBackend });
  operator.process(['late', 'b', 'a'], [15, 5, 4]);
  operator.watermark(maxTimestampMs);
  assert.deepEqual(shown(operator.takeEmitted()), ['-10..10 b,a', '0..20 b,a,late', '10..30 late']);
});

test('a record in the gap between windows that slide further than they are long is in none, and is not late', async () => {
  const assigner: WindowAssigner = { type: 'Sliding', domain: 'EventTime', sizeMs: 5, slideMs: 10, offsetMs: 0 };
  const operator = await KeyedOperator.open(tested(assigner), { createBackend });
  operator.process(['in', 'between'], [4, 5]);
  operator.watermark(maxTimestampMs);
  assert.deepEqual([shown(operator.takeEmitted()), operator.lateRecordCount], [['0..5 in'], 0]);
});

test('the global window fires at the end of the input', async () => {
  const operator = await KeyedOperator.open(tested({ type: 'Global', domain: 'EventTime' }, { contents: longest }), {
    createBackend,
  });
  operator.process(['a', 'abc'], [5, -5]);
  operator.watermark(1e15);
  assert.deepEqual(operator.takeEmitted(), []);
  operator.watermark(maxTimestampMs);
  assert.equal(operator.takeEmitted().length, 1);
  assert.equal(operator.stateSizeBytes, 0);
});

const session: WindowAssigner = { type: 'Session', domain: 'EventTime', gapMs: 10 };

test('records that are exactly the gap apart are of one session', async () => {
  const operator = await KeyedOperator.open(tested(session), { createBackend });
  operator.process(['a', 'b', 'c'], [0, 10, 21]);
  operator.watermark(maxTimestampMs);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..20 a,b', '21..31 c']);
});

test('a record between two sessions makes them one, with the contents of both and one timer that counts', async () => {
  for (const contents of [elements, longest]) {
    const operator: KeyedOperator<string> = await KeyedOperator.open(tested(session, { contents }), { createBackend });
    operator.process(['aa', 'b'], [0, 18]);
    operator.process(['cccc'], [9]);
    operator.watermark(maxTimestampMs);
    assert.deepEqual(shown(operator.takeEmitted()), [contents === elements ? '0..28 aa,b,cccc' : '0..28 CCCC']);
    assert.deepEqual([operator.stateSizeBytes, timerCount(operator)], [0, 0]);
  }
});

test('a session that has fired grows within its lateness and fires again; by a record that reaches it, it is not late', async () => {
  const operator = await KeyedOperator.open(tested(session, { allowedLatenessMs: 20 }), { createBackend });
  operator.process(['a'], [0]);
  operator.watermark(12);
  // By itself this record's window, -9..1, would be shown at once too; it is the session's.
  operator.process(['b'], [-9]);
  operator.process(['c'], [8]);
  assert.deepEqual(shown(operator.takeEmitted()), ['0..10 a', '-9..10 a,b']);
  operator.watermark(17);
  assert.deepEqual(shown(operator.takeEmitted()), ['-9..18 a,b,c']);
  operator.watermark(36);
  assert.ok(operator.stateSizeBytes > 0);
  operator.watermark(37);
  assert.deepEqual([operator.stateSizeBytes, timerCount(operator)], [0, 0]);
});

test('a session does not move its timer with every record', async () => {
  const operator = await KeyedOperator.open(tested(session, { contents: longest }), { createBackend });
  for (let timestampMs = 0; timestampMs < 1_000; timestampMs++) {
    operator.process(['a'], [timestampMs]);
  }
  assert.equal(timerCount(operator), 1);
  operator.watermark(1_007);
  assert.deepEqual(operator.takeEmitted(), []);
  operator.watermark(1_008);
  assert.equal(operator.takeEmitted().length, 1);
});

for (const { from, to, keptUntilMs } of [
  { from: 5, to: 50, keptUntilMs: 59 },
  { from: 50, to: 5, keptUntilMs: 59 },
]) {
  test(`windows that were kept with a lateness of ${from} are forgotten, too, when it is ${to} after a restore`, async () => {
    const directories = await StateDirectories.create();
    const before = await KeyedOperator.open(tested(tumbling, { allowedLatenessMs: from }), { createBackend });
    before.process(['a'], [3]);
    before.watermark(9);
    const restored = await before.checkpoint(directories);
    const after = await KeyedOperator.open(tested(tumbling, { allowedLatenessMs: to }), { createBackend, restored });
    after.watermark(keptUntilMs - 1);
    assert.ok(after.stateSizeBytes > 0);
    after.watermark(keptUntilMs);
    assert.deepEqual([after.stateSizeBytes, shown(after.takeEmitted())], [0, []]);
    await directories.remove();
  });
}

for (const [from, to] of [
  ['EventTime', 'ProcessingTime'],
  ['ProcessingTime', 'EventTime'],
] as const) {
  test(`windows by ${from} that were open fire when they go by ${to} after a restore`, async () => {
    const directories = await StateDirectories.create();
    const before = await KeyedOperator.open(tested({ ...tumbling, domain: from }), { createBackend });
    before.process(['a'], [3]);
    const restored = await before.checkpoint(directories);
    const after = await KeyedOperator.open(tested({ ...tumbling, domain: to }), { createBackend, restored });
    after.watermark(9);
    after.advanceClock(10);
    after.watermark(10);
    assert.deepEqual(shown(after.takeEmitted()), ['0..10 a']);
    assert.equal(after.stateSizeBytes, 0);
    await directories.remove();
  });
}

test('a record without an event time is an error that says what to do', async () => {
  const operator = await KeyedOperator.open(tested(tumbling), { createBackend });
  assert.throws(
    () => operator.process(['a']),
    (error: Error) => {
      const cause = error.cause as { code?: string; remedy?: string };
      assert.equal(cause.code, 'TimestampMissing');
      assert.match(cause.remedy ?? '', /watermarks/);
      return true;
    },
  );
});
