// Files of keys, one after the other, for processes that get each of them at a moment of their own. What is in a file is looked at in job-credentials.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeldKeys, parseHeldKeys, periodsOf, turnKeys } from './held-keys.ts';

const periodMs = 600_000;
/** Between two looks of a controller that is there. */
const lookMs = 15_000;
/** The longest way of a file into a process. */
const arrivalMs = 130_000;

interface Written {
  readonly atMs: number;
  readonly periods: readonly number[];
}

/** What a controller writes that looks all the time, but for its absences. */
function filesOf(isAway: (atMs: number) => boolean, untilMs: number): readonly Written[] {
  const files: Written[] = [];
  let held: HeldKeys | undefined;
  for (let nowMs = 10 * periodMs; nowMs < untilMs; nowMs += lookMs) {
    if (isAway(nowMs)) {
      continue;
    }
    held = turnKeys(held, { nowMs, periodMs });
    const periods = periodsOf(held);
    if (JSON.stringify(periods) !== JSON.stringify(files.at(-1)?.periods)) {
      files.push({ atMs: nowMs, periods });
    }
  }
  return files;
}

/** Those that some process may have at the moment when this one is written. */
function heldBeside(files: readonly Written[], index: number): readonly Written[] {
  const { atMs } = files[index] as Written;
  return files.slice(0, index).filter((_, each) => (files[each + 1] as Written).atMs > atMs - arrivalMs);
}

test('whoever has an older file and whoever has a newer one understand each other, however long the controller was away', () => {
  for (const absencePeriods of [0, 0.5, 1, 1.9, 2, 2.5, 3, 7, 40]) {
    for (const offsetMs of [0, lookMs, 120_000, 300_000, 480_000, 585_000]) {
      const leavesMs = 11 * periodMs + offsetMs;
      const comesMs = leavesMs + absencePeriods * periodMs;
      const files = filesOf((atMs) => atMs >= leavesMs && atMs < comesMs, comesMs + 4 * periodMs);
      for (const [index, newer] of files.entries()) {
        for (const older of heldBeside(files, index)) {
          const what = `${absencePeriods} periods, ${offsetMs} ms: ${JSON.stringify([older, newer])}`;
          assert.ok(newer.periods.includes(older.periods[0] as number), what);
          assert.ok(older.periods.includes(newer.periods[0] as number), what);
        }
      }
      // In the end it is as if nothing had happened: old keys are no good any more.
      const last = Math.floor((comesMs + 4 * periodMs - lookMs) / periodMs);
      assert.deepEqual(files.at(-1)?.periods, [last, last - 1, last + 1]);
    }
  }
});

test('a controller that goes away again in the middle of a turn begins it anew', () => {
  const away = (atMs: number) =>
    (atMs >= 11 * periodMs && atMs < 14 * periodMs) || (atMs > 14 * periodMs && atMs < 18 * periodMs);
  const signing = filesOf(away, 19 * periodMs).map(({ periods: [first] }) => first);
  assert.deepEqual(signing, [10, 10, 10, 18]);
});

test('a period of another length is an absence like any other', () => {
  const held = turnKeys({ period: 10, atMs: 5_000_000 }, { nowMs: 6_000_000, periodMs: 1_000 });
  assert.deepEqual(held, { period: 10, announced: 6_000, atMs: 6_000_000 });
});

test('what was written is read back, and what somebody else wrote is as nothing', () => {
  const held: HeldKeys = { period: 10, announced: 14, atMs: 1 };
  assert.deepEqual(parseHeldKeys(JSON.stringify(held)), held);
  for (const text of ['', 'x', '{}', '{"period":"1"}', 'null']) {
    assert.equal(parseHeldKeys(text), undefined);
  }
});
