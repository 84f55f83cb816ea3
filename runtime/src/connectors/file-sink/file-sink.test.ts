// Exactly once in real files: what is visible when, commits repeated by the same and by other writers, zombies, and what is cleaned up.
import assert from 'node:assert/strict';
import { chmod, link, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { CommittableData, SinkWriter } from '../../core/job-graph/sink.ts';
import { OperatorMetricGroup } from '../../task-manager/operator-metric-group.ts';
import { parsePendingName, safeName } from './file-names.ts';
import { fileSink } from './file-sink.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-sink-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function writer(options: { epoch?: number; subtaskIndex?: number; uid?: string; lineageId?: string } = {}): SinkWriter<unknown> {
  const { epoch = 1, subtaskIndex = 0, uid = 'out', lineageId = 'default/job' } = options;
  return fileSink({ path: directory }).createWriter({
    lineageId,
    token: { epoch, executionAttempt: 1 },
    uid,
    subtaskIndex,
    parallelism: 2,
    metrics: new OperatorMetricGroup('out'),
  });
}

async function visible(): Promise<Record<string, string>> {
  const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).toSorted();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [withoutWriter(name), await readFile(join(directory, name), 'utf8')] as const)),
  );
}

/** Every writer draws a part of its names at random. */
function withoutWriter(name: string): string {
  return name.replace(/-[0-9a-f]{8}(?=\.|$)/, '');
}

async function hidden(): Promise<readonly string[]> {
  const names = await readdir(join(directory, '.pending'), { recursive: true });
  return names
    .flatMap((name) =>
      name.includes('.') && !name.endsWith('%2E') ? [withoutWriter(name.slice(name.lastIndexOf('/') + 1))] : [],
    )
    .toSorted();
}

test('records become visible with the commit of their checkpoint, complete, and never before', async () => {
  const out = writer();
  out.write(['text', { word: 'hello', count: 1 }]);
  const preparing = out.prepareCommit(1);
  out.write(['of the next checkpoint']);
  const first = await preparing;
  assert.deepEqual(await visible(), {});
  const second = await out.prepareCommit(2);
  await out.commit(first);
  assert.deepEqual(Object.values(await visible()), ['text\n{"word":"hello","count":1}\n']);
  await out.commit(second);
  assert.deepEqual(await visible(), {
    'part-out-000-000000001-e1a1': 'text\n{"word":"hello","count":1}\n',
    'part-out-000-000000002-e1a1': 'of the next checkpoint\n',
  });
  await out.close();
});

test('a checkpoint without records makes no file', async () => {
  const out = writer();
  assert.deepEqual(await out.prepareCommit(1), []);
  await out.commit([]);
  assert.deepEqual(await visible(), {});
});

test('a commit can be repeated, by the same writer and by later ones, after it was done whole or in part', async () => {
  const first = writer();
  first.write(['once']);
  const committables = await first.prepareCommit(1);
  await first.commit(committables);
  await first.commit(committables);
  const second = writer({ epoch: 2, subtaskIndex: 1 });
  await second.commit(committables);
  // Killed between the link and the rename: both names are there.
  const third = writer({ epoch: 3 });
  third.write(['twice linked']);
  const half = (await third.prepareCommit(2)) as readonly { pending: string; visible: string }[];
  await link(join(directory, half[0]?.pending ?? ''), join(directory, half[0]?.visible ?? ''));
  await writer({ epoch: 4 }).commit(half);
  assert.deepEqual(Object.values(await visible()), ['once\n', 'twice linked\n']);
});

test('a commit is right when a reader of the directory took the visible file away', async () => {
  const first = writer();
  first.write(['taken']);
  const committables = await first.prepareCommit(1);
  await first.commit(committables);
  await rm(join(directory, (committables as readonly { visible: string }[])[0]?.visible ?? ''));
  await writer({ epoch: 2 }).commit(committables);
  first.write(['later']);
  await first.commit(await first.prepareCommit(2));
  await writer({ epoch: 3 }).commit(committables);
  assert.deepEqual(Object.values(await visible()), ['later\n']);
});

test('a lineage that starts anew in the same directory adds its output, although it counts from the beginning again', async () => {
  for (const text of ['first life', 'second life']) {
    const out = writer();
    out.write([text]);
    await out.commit(await out.prepareCommit(1));
    await out.close();
  }
  const names = (await readdir(directory)).filter((name) => name.startsWith('part-'));
  const contents = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  assert.deepEqual(contents.toSorted(), ['first life\n', 'second life\n']);
});

test('a visible name that somebody else took is an error, not a commit', async () => {
  const out = writer();
  out.write(['ours']);
  const committables = (await out.prepareCommit(1)) as readonly { visible: string }[];
  await writeFile(join(directory, committables[0]?.visible ?? ''), 'theirs');
  await assert.rejects(out.commit(committables), { code: 'SinkFileFailed' });
});

test('a pending file that is gone and was never committed is an error that names it', async () => {
  const out = writer();
  out.write(['lost']);
  const committables = (await out.prepareCommit(1)) as readonly { pending: string; visible: string }[];
  await rm(join(directory, committables[0]?.pending ?? ''));
  await assert.rejects(writer({ epoch: 2 }).commit(committables), {
    code: 'PendingFileMissing',
    message: /e1a1-0-1-[0-9a-f]{8}\.pending is gone/,
  });
  // The way out that the error names.
  await writeFile(join(directory, committables[0]?.visible ?? ''), '');
  await writer({ epoch: 3 }).commit(committables);
});

test('output of a checkpoint that was aborted is kept for the next one', async () => {
  const out = writer();
  out.write(['a']);
  const aborted = await out.prepareCommit(1);
  out.write(['b']);
  const next = await out.prepareCommit(2);
  await out.commit([...aborted, ...next]);
  assert.deepEqual(Object.values(await visible()), ['a\n', 'b\n']);
});

test('a closed writer leaves no file that belongs to no checkpoint', async () => {
  const out = writer();
  out.write(['prepared']);
  await out.prepareCommit(1);
  out.write(['x'.repeat(100_000)]);
  await out.close();
  assert.deepEqual(await hidden(), ['e1a1-0-1.pending']);
});

test('a zombie disturbs nobody: its files are its own, and what it prepared after the restore is never committed', async () => {
  const zombie = writer({ epoch: 1 });
  zombie.write(['before']);
  const restored = await zombie.prepareCommit(1);
  const successor = writer({ epoch: 2 });
  await successor.commit(restored);
  zombie.write(['zombie']);
  await zombie.prepareCommit(2);
  successor.write(['successor']);
  await successor.commit(await successor.prepareCommit(2));
  await zombie.commit(restored);
  assert.deepEqual(Object.values(await visible()), ['before\n', 'successor\n']);
});

test('leftovers of older tokens go with the first own checkpoint, not those of others', async () => {
  const killed = writer({ epoch: 1, subtaskIndex: 1 });
  killed.write(['in progress', 'x'.repeat(100_000)]);
  const abandoned = writer({ epoch: 2 });
  abandoned.write(['never completed']);
  await abandoned.prepareCommit(7);
  const others: [SinkWriter<unknown>, CommittableData[]][] = [];
  for (const options of [{ uid: 'other' }, { lineageId: 'default/other' }, { epoch: 9 }]) {
    const other = writer(options);
    other.write([JSON.stringify(options)]);
    others.push([other, [...(await other.prepareCommit(1))]]);
  }
  const current = writer({ epoch: 3 });
  await current.commit([]);
  assert.equal((await hidden()).length, 5, 'nothing is removed before a checkpoint of its own');
  current.write(['new']);
  await current.commit(await current.prepareCommit(8));
  assert.deepEqual(await hidden(), ['e1a1-0-1.pending', 'e1a1-0-1.pending', 'e3a1-0-8.committed', 'e9a1-0-1.pending']);
  for (const [other, committables] of others) {
    await other.commit(committables);
  }
  assert.equal(Object.keys(await visible()).length, 4);
  await killed.close();
});

test('traces of commits do not pile up', async () => {
  const out = writer();
  for (let checkpointId = 1; checkpointId <= 5; checkpointId++) {
    out.write([`${checkpointId}`]);
    await out.commit(await out.prepareCommit(checkpointId));
  }
  assert.deepEqual(await hidden(), ['e1a1-0-5.committed']);
});

test('a directory that cannot be written is an error that names it', async (context) => {
  await writeFile(join(directory, 'file'), '');
  const create = (path: string) => () =>
    fileSink({ path }).createWriter({
      lineageId: 'l',
      token: { epoch: 1, executionAttempt: 1 },
      uid: 'u',
      subtaskIndex: 0,
      parallelism: 1,
      metrics: new OperatorMetricGroup('out'),
    });
  assert.throws(create(join(directory, 'file')), { code: 'SinkDirectoryUnwritable', message: /file/ });
  if (process.getuid?.() !== 0) {
    await chmod(directory, 0o500);
    context.after(() => chmod(directory, 0o700));
    assert.throws(create(join(directory, 'new')), { code: 'SinkDirectoryUnwritable' });
  }
});

test('options are checked by name', () => {
  assert.throws(() => fileSink({ path: undefined }), { code: 'InvalidOption', message: /'path' is not set/ });
  assert.throws(() => fileSink({ path: '/tmp', formt: String } as { path: string }), { message: /'formt' is not known/ });
});

test('any text becomes one name, different texts different names', () => {
  const texts = ['a/b', 'a%2Fb', 'a-b', 'a.b', '..', 'ž', 'a b', 'A'];
  const names = texts.map(safeName);
  assert.equal(new Set(names).size, texts.length);
  assert.ok(names.every((name) => /^[A-Za-z0-9_%!~'()]+$/.test(name)));
  assert.equal(parsePendingName('README.md'), undefined);
});
