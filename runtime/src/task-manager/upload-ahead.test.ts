// When files are put ahead of a checkpoint. Which ones: incremental-checkpoints.test.ts.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { JobError } from '../core/job-error.ts';
import { UploadAhead } from './upload-ahead.ts';

const refused = new JobError('no space', { domain: 'external', retry: 'backoff', code: 'CheckpointStorageNotWritable' });

/** Tasks that do as told, and time that passes when the test says. */
function fixture(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const calls: string[] = [];
  const failures: unknown[] = [];
  const answers = new Map<string, () => Promise<void>>();
  const taskOf = (name: string) => ({
    putAhead: async () => {
      calls.push(name);
      await answers.get(name)?.();
    },
    fail: (error: unknown) => void failures.push(error),
  });
  const loop = new UploadAhead([taskOf('a'), taskOf('b')]);
  loop.start();
  const pass = async (ms: number): Promise<void> => {
    context.mock.timers.tick(ms);
    await yieldToEventLoop();
  };
  return { calls, failures, answers, loop, pass };
}

test('tasks put their files one after the other, every two seconds, until the end', async (context) => {
  const { calls, loop, pass } = fixture(context);
  await pass(1_999);
  assert.deepEqual(calls, []);
  await pass(1);
  await pass(2_000);
  assert.deepEqual(calls, ['a', 'b', 'a', 'b']);
  loop.stop();
  await pass(10_000);
  assert.equal(calls.length, 4);
});

test('a round that takes long is not overtaken by the next', async (context) => {
  const { calls, answers, pass } = fixture(context);
  const { promise, resolve } = Promise.withResolvers<void>();
  answers.set('a', () => promise);
  await pass(2_000);
  await pass(10_000);
  assert.deepEqual(calls, ['a']);
  resolve();
  await yieldToEventLoop();
  assert.deepEqual(calls, ['a', 'b']);
});

test('after a failure it waits longer each time, and goes on with the others', async (context) => {
  const { calls, failures, answers, pass } = fixture(context);
  answers.set('a', () => Promise.reject(refused));
  await pass(2_000);
  await pass(2_000);
  assert.deepEqual(calls, ['a', 'b']);
  await pass(2_000);
  assert.deepEqual(calls, ['a', 'b', 'a', 'b']);
  answers.clear();
  await pass(8_000);
  await pass(2_000);
  assert.equal(calls.length, 8);
  assert.deepEqual(failures, []);
});

test('a bug fails its task', async (context) => {
  const { failures, answers, pass } = fixture(context);
  const bug = new Error('a broken assertion');
  answers.set('b', () => Promise.reject(bug));
  await pass(2_000);
  assert.deepEqual(failures, [bug]);
});
