// Lines of logs for people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readableLogLine } from './log-line.ts';

test('time, level, message and what is special about a line are shown, and what every line repeats is not', () => {
  const base = { pid: 7, process: 'job-manager', namespace: 'default', flinkJob: 'words', podUid: 'x' };
  const line = {
    level: 30,
    time: '2026-11-21T18:31:40.837Z',
    ...base,
    epoch: 2,
    from: 'Running',
    reason: 'two words',
    msg: 'job state',
  };
  assert.deepEqual(readableLogLine(JSON.stringify(line), 'job-manager'), [
    '2026-11-21 18:31:40.837Z INFO  job state epoch=2 from=Running reason="two words"',
  ]);
});

test("the controller's log names the job, and its times are read too", () => {
  const line = { level: 40, time: 1795268101782, pid: 1, hostname: 'vm', flinkJob: 'default/words', msg: 'FlinkJob changed' };
  assert.deepEqual(readableLogLine(JSON.stringify(line), 'operator'), [
    `${new Date(1795268101782).toISOString().replace('T', ' ')} WARN  FlinkJob changed flinkJob=default/words`,
  ]);
});

test('an error that is foreseen says what to do, any other has its stack', () => {
  const line = (err: object) => JSON.stringify({ level: 50, time: 0, err, msg: 'it failed' });
  const foreseen = {
    type: 'JobError',
    message: 'no disk',
    code: 'DiskFull',
    remedy: 'Make room.',
    stack: 'JobError: no disk\n    at x',
  };
  assert.deepEqual(readableLogLine(line(foreseen), 'job-manager').slice(1), ['    no disk [DiskFull]', '    Make room.']);
  const bug = { type: 'TypeError', message: 'x', stack: 'TypeError: x\n    at f (a.ts:1)' };
  assert.deepEqual(readableLogLine(line(bug), 'job-manager').slice(1), ['    TypeError: x', '        at f (a.ts:1)']);
});

test('what a job prints stays as it is, and long values are cut', () => {
  for (const printed of ['hello', '{"word":"a"}', '{broken', '']) {
    assert.deepEqual(readableLogLine(printed, 'task-manager-0'), [printed]);
  }
  const [line] = readableLogLine(JSON.stringify({ level: 30, time: 0, parts: 'x'.repeat(500), msg: 'm' }), 'job-manager');
  assert.equal(line?.length, '1970-01-01 00:00:00.000Z INFO  m parts='.length + 201);
});
