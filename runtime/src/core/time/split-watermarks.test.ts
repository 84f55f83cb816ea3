/** Event time of one source subtask and of an alignment group. The five known ways to stand still for ever are named here; see also the random walk. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { AlignmentGroups, alignmentReportAgeMsMax } from './alignment-groups.ts';
import { maxTimestampMs, minTimestampMs } from './event-time.ts';
import { othersMinimumAgeMsMax, SplitWatermarks } from './split-watermarks.ts';

const idleMs = 1_000;

function watermarksOf(
  splitIds: readonly string[],
  options: { readonly maxDriftMs?: number; readonly canPauseSplits?: boolean; readonly idleMs?: number | undefined } = {},
): SplitWatermarks {
  const { maxDriftMs, canPauseSplits = true } = options;
  return new SplitWatermarks({
    strategy: {
      outOfOrdernessMs: 0,
      idleMs: 'idleMs' in options ? options.idleMs : idleMs,
      alignment: maxDriftMs === undefined ? undefined : { group: 'g', maxDriftMs },
    },
    splits: splitIds.map((splitId) => ({ splitId, maxTimestampMs: undefined })),
    canPauseSplits,
    nowMs: 0,
  });
}

const nothingReadable = () => false;

test('the watermark is the lowest of the splits', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  assert.deepEqual(source.watermark(), { timestampMs: minTimestampMs, isIdle: false });
  source.records('b', 50, 0);
  assert.deepEqual(source.watermark(), { timestampMs: 49, isIdle: false });
  source.records('b', 40, 0);
  assert.deepEqual(source.watermark(), { timestampMs: 49, isIdle: false });
});

test('a finished split holds nothing up; when all have finished the watermark is the last one', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  source.records('b', 50, 0);
  source.finish('b', 0);
  assert.equal(source.watermark().timestampMs, 99);
  source.finish('a', 0);
  assert.deepEqual(source.watermark(), { timestampMs: maxTimestampMs, isIdle: false });
});

test('a split that gives nothing for the time of idleness holds nothing up, and is there again with its next record', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  source.records('b', 50, 0);
  source.tick(idleMs - 1, nothingReadable);
  source.records('a', 200, idleMs - 1);
  source.tick(idleMs, nothingReadable);
  assert.deepEqual(source.watermark(), { timestampMs: 199, isIdle: false });
  source.records('b', 60, idleMs);
  source.records('a', 300, idleMs);
  assert.deepEqual(source.watermark(), { timestampMs: 199, isIdle: false });
  source.records('b', 250, idleMs);
  assert.deepEqual(source.watermark(), { timestampMs: 249, isIdle: false });
});

test('when all splits are idle the source is, at the highest watermark of them', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  source.records('b', 50, 0);
  source.tick(idleMs, nothingReadable);
  assert.deepEqual(source.watermark(), { timestampMs: 99, isIdle: true });
  assert.equal(source.minimumMs(), undefined);
});

test('a split that has records and waits for its turn is not idle', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  source.tick(idleMs, (splitId) => splitId === 'b');
  assert.deepEqual(source.watermark(), { timestampMs: minTimestampMs, isIdle: false });
  source.tick(idleMs * 2 - 1, nothingReadable);
  assert.equal(source.watermark().isIdle, false);
  source.tick(idleMs * 2, nothingReadable);
  assert.deepEqual(source.watermark(), { timestampMs: 99, isIdle: true });
});

test('event time goes on where the checkpoint left it', () => {
  const before = watermarksOf(['a', 'b']);
  before.records('a', 100, 0);
  const splits = before.splitTimes();
  assert.deepEqual(splits, [
    { splitId: 'a', maxTimestampMs: 100 },
    { splitId: 'b', maxTimestampMs: undefined },
  ]);
  const strategy = { outOfOrdernessMs: 10, idleMs, alignment: undefined };
  const after = new SplitWatermarks({ strategy, splits: splits.slice(0, 1), canPauseSplits: true, nowMs: 0 });
  assert.equal(after.watermark().timestampMs, 89);
});

test('records of a split that was not given to the reader are an error by name', () => {
  assert.throws(() => watermarksOf(['a']).records('b', 1, 0), { code: 'SourceContractBroken', message: /split 'b'/ });
});

// The five.

test('a subtask without splits is idle from the start and holds neither the job nor its group', () => {
  const empty = watermarksOf([], { maxDriftMs: 10 });
  assert.deepEqual(empty.watermark(), { timestampMs: minTimestampMs, isIdle: true });
  const group = new AlignmentGroups();
  group.report({ group: 'g', source: 'empty', minimumMs: empty.minimumMs() }, 0);
  group.report({ group: 'g', source: 'full', minimumMs: 500 }, 0);
  group.report({ group: 'g', source: 'third', minimumMs: 700 }, 0);
  assert.deepEqual(
    group.words(0).map(({ source, othersMinimumMs }) => [source, othersMinimumMs]),
    [
      ['empty', 500],
      ['full', 700],
      ['third', 500],
    ],
  );
  empty.end(0);
  assert.deepEqual(empty.watermark(), { timestampMs: maxTimestampMs, isIdle: false });
});

test('a source that was idle while its group moved on, or with its whole group, resumes', () => {
  const source = watermarksOf(['a'], { maxDriftMs: 10 });
  const group = new AlignmentGroups();
  source.records('a', 100, 0);
  source.tick(idleMs, nothingReadable);
  group.report({ group: 'g', source: 's', minimumMs: source.minimumMs() }, idleMs);
  group.report({ group: 'g', source: 'other', minimumMs: undefined }, idleMs);
  // With everybody idle there is no minimum: nothing that could overflow, and no limit.
  assert.deepEqual(group.words(idleMs)[0], { group: 'g', source: 's', othersMinimumMs: undefined });
  source.setOthersMinimum(undefined, idleMs);
  source.records('a', 5_000, idleMs);
  assert.equal(source.pausedSplits.size, 0);
  group.report({ group: 'g', source: 's', minimumMs: source.minimumMs() }, idleMs);
  group.report({ group: 'g', source: 'other', minimumMs: 90_000 }, idleMs);
  assert.deepEqual(
    group.words(idleMs).map(({ othersMinimumMs }) => othersMinimumMs),
    [90_000, 4_999],
  );
  source.setOthersMinimum(90_000, idleMs);
  source.records('a', 50_000, idleMs);
  source.tick(idleMs, nothingReadable);
  assert.equal(source.pausedSplits.size, 0, 'it is behind, so it is read');
});

test('who is furthest behind is not held up by what it said of itself a while ago', () => {
  const source = watermarksOf(['a'], { maxDriftMs: 10 });
  const group = new AlignmentGroups();
  source.records('a', 100, 0);
  group.report({ group: 'g', source: 's', minimumMs: source.minimumMs() }, 0);
  source.setOthersMinimum(group.words(0)[0]?.othersMinimumMs, 0);
  source.records('a', 9_000, 500);
  source.tick(500, nothingReadable);
  assert.equal(source.pausedSplits.size, 0);
});

test('the clock of idleness stands while the source waits for its consumers', () => {
  const source = watermarksOf(['a', 'b']);
  source.records('a', 100, 0);
  source.records('b', 50, 0);
  source.stopClock(10);
  source.tick(100_000, nothingReadable);
  assert.equal(source.watermark().isIdle, false);
  source.startClock(100_000);
  source.tick(100_000 + idleMs - 11, nothingReadable);
  assert.equal(source.watermark().isIdle, false);
  source.tick(100_000 + idleMs - 10, nothingReadable);
  assert.equal(source.watermark().isIdle, true);
});

test('paused splits go on when the one they waited for has ended and no more splits come', () => {
  const source = watermarksOf(['slow', 'fast'], { maxDriftMs: 10 });
  source.records('slow', 100, 0);
  source.tick(0, nothingReadable);
  source.records('fast', 500, 0);
  assert.deepEqual([...source.pausedSplits], ['fast']);
  source.finish('slow', 0);
  source.tick(0, nothingReadable);
  assert.equal(source.pausedSplits.size, 0);
  source.finish('fast', 0);
  assert.deepEqual(source.watermark(), { timestampMs: maxTimestampMs, isIdle: false });
});

test('a paused split is never idle, holds the watermark at its own, and resumes when the group has come after', () => {
  const source = watermarksOf(['a'], { maxDriftMs: 10 });
  source.setOthersMinimum(50, 0);
  source.records('a', 100, 0);
  assert.deepEqual([...source.pausedSplits], ['a']);
  source.setOthersMinimum(50, idleMs * 5);
  source.tick(idleMs * 5, nothingReadable);
  assert.deepEqual([...source.pausedSplits], ['a']);
  assert.deepEqual(source.watermark(), { timestampMs: 99, isIdle: false });
  assert.equal(source.minimumMs(), 99);
  source.setOthersMinimum(90, idleMs * 5);
  assert.equal(source.pausedSplits.size, 0);
  source.tick(idleMs * 6 - 1, nothingReadable);
  assert.equal(source.watermark().isIdle, false, 'its clock began anew');
});

// Alignment.

test('within a subtask the splits are aligned at once, without the JobManager', () => {
  const source = watermarksOf(['a', 'b', 'c'], { maxDriftMs: 100, idleMs: undefined });
  source.records('a', 1_000, 0);
  source.tick(0, nothingReadable);
  source.records('b', 1_101, 0);
  source.records('c', 1_100, 0);
  assert.deepEqual([...source.pausedSplits], ['b']);
  source.records('a', 1_001, 0);
  source.tick(0, nothingReadable);
  assert.equal(source.pausedSplits.size, 0);
});

test('a split without a first record holds no group back', () => {
  const source = watermarksOf(['a', 'b'], { maxDriftMs: 100, idleMs: undefined });
  source.records('a', 1_000, 0);
  source.tick(0, nothingReadable);
  assert.equal(source.minimumMs(), 999);
  assert.equal(source.pausedSplits.size, 0);
});

test('a reader that cannot leave out a split is paused as a whole, by the furthest behind of its splits', () => {
  const source = watermarksOf(['a', 'b'], { maxDriftMs: 100, canPauseSplits: false });
  source.setOthersMinimum(0, 0);
  source.records('a', 1_000, 0);
  source.records('b', 50, 0);
  source.tick(0, nothingReadable);
  assert.equal(source.isReaderPaused, false);
  source.records('b', 500, 0);
  source.tick(0, nothingReadable);
  assert.equal(source.isReaderPaused, true);
  source.tick(idleMs * 2, nothingReadable);
  assert.equal(source.watermark().isIdle, false);
  source.setOthersMinimum(399, idleMs * 2);
  assert.equal(source.isReaderPaused, false);
});

test('a subtask that hears nothing more of its group goes on without it', () => {
  const source = watermarksOf(['a'], { maxDriftMs: 10 });
  source.setOthersMinimum(0, 0);
  source.records('a', 100, 0);
  source.tick(othersMinimumAgeMsMax - 1, nothingReadable);
  assert.equal(source.pausedSplits.size, 1);
  source.tick(othersMinimumAgeMsMax, nothingReadable);
  assert.equal(source.pausedSplits.size, 0);
});

test('who has fallen silent holds its group back no longer', () => {
  const group = new AlignmentGroups();
  group.report({ group: 'g', source: 'dead', minimumMs: 10 }, 0);
  group.report({ group: 'g', source: 'alive', minimumMs: 20 }, 5_000);
  group.report({ group: 'other', source: 'x', minimumMs: 1 }, 5_000);
  const minimums = (nowMs: number) => group.words(nowMs).map(({ othersMinimumMs }) => othersMinimumMs);
  assert.deepEqual(minimums(alignmentReportAgeMsMax - 1), [20, 10, undefined]);
  assert.deepEqual(minimums(alignmentReportAgeMsMax), [20, undefined, undefined]);
});
