import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { LogTail } from './log-tail.ts';

async function logFile(context: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-log-'));
  context.after(() => rm(directory, { recursive: true }));
  return path.join(directory, 'taskmanager.out');
}

test('lines come once, complete, also when the file appears later', async (context) => {
  const file = await logFile(context);
  const tail = new LogTail(file, 'beginning');
  assert.deepEqual(await tail.read(), []);
  await writeFile(file, 'one\ntw');
  assert.deepEqual(await tail.read(), ['one']);
  await appendFile(file, 'o\nthree\n');
  assert.deepEqual(await tail.read(), ['two', 'three']);
  assert.deepEqual(await tail.read(), []);
});

test('a character that was half written arrives whole', async (context) => {
  const file = await logFile(context);
  const tail = new LogTail(file, 'beginning');
  const bytes = Buffer.from('grün\n');
  await writeFile(file, bytes.subarray(0, 3));
  assert.deepEqual(await tail.read(), []);
  await appendFile(file, bytes.subarray(3));
  assert.deepEqual(await tail.read(), ['grün']);
});

test('the last lines are enough when so many are asked for, and what follows is complete', async (context) => {
  const file = await logFile(context);
  await writeFile(file, 'one\ntwo\nthree\nfo');
  const tail = new LogTail(file, { lineCount: 2 });
  assert.deepEqual(await tail.read(), ['two', 'three']);
  await appendFile(file, 'ur\n');
  assert.deepEqual(await tail.read(), ['four']);
  assert.deepEqual(await new LogTail(file, { lineCount: 0 }).read(), []);
});

test('a file that was truncated or replaced is read from its beginning', async (context) => {
  const file = await logFile(context);
  const tail = new LogTail(file, 'beginning');
  await writeFile(file, 'one\ntwo\n');
  await tail.read();
  await truncate(file, 0);
  await appendFile(file, 'new\n');
  assert.deepEqual(await tail.read(), ['new']);
  await rename(file, `${file}.1`);
  await writeFile(file, 'replaced, and longer than before\n');
  assert.deepEqual(await tail.read(), ['replaced, and longer than before']);
});
