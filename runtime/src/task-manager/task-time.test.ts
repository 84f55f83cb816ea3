// How a task's time is divided. That the loop tells it what happens is tested with a real job in metrics.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TaskTime } from './task-time.ts';

test('what has passed is busy, back-pressured or idle, and the three are all of it', () => {
  const time = new TaskTime({ hasOutputs: true });
  time.start(100);
  time.enter('Busy', 110);
  time.enter('Busy', 120);
  time.enter('BackPressured', 150);
  time.enter('Busy', 155);
  assert.deepEqual(time.totals(160), { busyMs: 45, backPressuredMs: 5, idleMs: 10 });
  time.enter('Idle', 161);
  assert.deepEqual(time.totals(200), { busyMs: 46, backPressuredMs: 5, idleMs: 49 });
});

test('nothing passes before the start, and a clock that was read before another look at it takes nothing back', () => {
  const time = new TaskTime({ hasOutputs: true });
  time.enter('Busy', 50);
  assert.deepEqual(time.totals(60), { busyMs: 0, backPressuredMs: 0, idleMs: 0 });
  time.start(60);
  assert.deepEqual(time.totals(70), { busyMs: 10, backPressuredMs: 0, idleMs: 0 });
  time.enter('Idle', 65);
  assert.deepEqual(time.totals(70), { busyMs: 10, backPressuredMs: 0, idleMs: 0 });
});

test('a task that waits for its thread is held up by those after it, unless there are none', () => {
  for (const [hasOutputs, expected] of [
    [true, { busyMs: 15, backPressuredMs: 35, idleMs: 0 }],
    [false, { busyMs: 50, backPressuredMs: 0, idleMs: 0 }],
  ] as const) {
    const time = new TaskTime({ hasOutputs });
    time.start(0);
    time.enter('Busy', 0);
    time.wait(10);
    // Others run until 30; then the thread sees to messages until 35; then others again until 50.
    time.threadPaused(30, 35);
    assert.deepEqual(time.totals(50), expected);
    time.enter('Idle', 50);
    time.threadPaused(55, 60);
    assert.equal(time.totals(70).idleMs, 20);
  }
});
