import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lastProblem, rotateLog } from './log-files.ts';

async function withLog(body: (file: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(path.join(tmpdir(), 'log-files-'));
  try {
    await body(path.join(directory, 'task-manager-0.log'));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('a process goes on writing into its log after that was moved aside', () =>
  withLog(async (file) => {
    const handle = await open(file, 'a');
    await handle.write('first\n');
    await rotateLog(file, 3);
    await handle.write('second\n');
    await handle.close();
    assert.equal(await readFile(`${file}.1`, 'utf8'), 'first\n');
    assert.equal(await readFile(file, 'utf8'), 'second\n');
  }));

test('old logs are kept up to a number', () =>
  withLog(async (file) => {
    for (const content of ['one', 'two', 'three', 'four', 'five']) {
      await writeFile(file, content);
      await rotateLog(file, 1);
    }
    assert.deepEqual(await Promise.all([1, 2, 3].map((index) => readFile(`${file}.${index}`, 'utf8'))), [
      'five',
      'four',
      'three',
    ]);
    await assert.rejects(readFile(`${file}.4`));
  }));

const endings: readonly (readonly [string, string, object | undefined])[] = [
  [
    'an error printed for people',
    'starting\nerror: the port is taken [PortInUse]\n  Choose another one.\n',
    { code: 'PortInUse', message: 'the port is taken', remedy: 'Choose another one.' },
  ],
  [
    'a log line with an error',
    '{"level":50,"err":{"message":"no space","code":"StorageFull"},"msg":"failed"}\nbye\n',
    { code: 'StorageFull', message: 'no space', remedy: undefined },
  ],
  [
    'ordinary entries only',
    '{"level":40,"err":{"message":"lost a connection","code":"Lost"}}\n{"level":30,"msg":"bye"}\n',
    undefined,
  ],
  ['plain text', 'Segmentation fault\n', { code: 'ProcessEnded', message: 'Segmentation fault' }],
  [
    'an error that nobody caught',
    'file:///job.ts:3\n  throw new TypeError("no");\n\nTypeError: no\n    at file:///job.ts:3:9\n\nNode.js v24.0.0\n',
    { code: 'ProcessEnded', message: 'TypeError: no' },
  ],
  ['nothing', '', undefined],
];

for (const [name, text, expected] of endings) {
  test(`the last words of a process are understood: ${name}`, () =>
    withLog(async (file) => {
      await writeFile(file, `error: of an earlier process [Old]\n${text}`);
      assert.deepEqual(await lastProblem(file, 'error: of an earlier process [Old]\n'.length), expected);
    }));
}
