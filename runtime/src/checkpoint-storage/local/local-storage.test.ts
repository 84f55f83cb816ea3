// The local medium's own failures and leftovers. What it shares with the other media is in ../conformance.test.ts.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StorageError } from '../checkpoint-storage.ts';
import { openCheckpointStorage } from '../open-checkpoint-storage.ts';
import { LocalStorage } from './local-storage.ts';
import { toStorageError } from './storage-errors.ts';
import { temporaryName } from './temporary-files.ts';

const folders: string[] = [];
after(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-local-'));
  folders.push(folder);
  return folder;
}

const content = new TextEncoder().encode('content');

test('a file on the same file system is linked, not copied', async () => {
  const folder = await newFolder();
  const storage = new LocalStorage(join(folder, 'root'));
  const [file, fetched] = [join(folder, 'source.sst'), join(folder, 'fetched.sst')];
  await writeFile(file, 'content');
  await storage.putFileIfAbsent('linked/a.sst', file);
  await storage.getFile('linked/a.sst', fetched);
  const paths = [file, join(folder, 'root', 'linked', 'a.sst'), fetched];
  const inodes = await Promise.all(paths.map(async (path) => (await stat(path)).ino));
  assert.equal(new Set(inodes).size, 1);
});

test('a put leaves the object and no temporary file', async () => {
  const root = await newFolder();
  await new LocalStorage(root).putIfAbsent('chk-000001-e1/_metadata', content);
  await new LocalStorage(root).putIfAbsent('chk-000001-e1/_metadata', content);
  assert.deepEqual(await readdir(join(root, '.tmp')), []);
  assert.deepEqual(await readdir(join(root, 'chk-000001-e1')), ['_metadata']);
});

test('temporary files of dead writers are removed, those of living ones stay', async () => {
  const root = await newFolder();
  const temporary = join(root, '.tmp');
  await mkdir(temporary);
  const living = temporaryName('living');
  const elsewhere = '1@another-machine@young';
  const old = '1@another-machine@old';
  // No process has the highest possible id of a system, and none a negative one.
  const dead = [`4194304@${encodeURIComponent(hostname())}@x`, `-1@${encodeURIComponent(hostname())}@y`];
  for (const name of [living, elsewhere, old, ...dead]) {
    await writeFile(join(temporary, name), content);
  }
  await utimes(join(temporary, old), new Date(0), new Date(0));
  await new LocalStorage(root).putIfAbsent('a', content);
  assert.deepEqual((await readdir(temporary)).sort(), [living, elsewhere].sort());
});

test('temporary files are in no listing', async () => {
  const root = await newFolder();
  const storage = new LocalStorage(root);
  await storage.putIfAbsent('a', content);
  await writeFile(join(root, '.tmp', temporaryName('x')), content);
  assert.deepEqual(
    (await storage.list('')).map(({ path }) => path),
    ['a'],
  );
});

test('deleting the last object of a folder removes the folder, and a put brings it back', async () => {
  const root = await newFolder();
  const storage = new LocalStorage(root);
  await storage.putIfAbsent('chk-000001-e1/a/b', content);
  await storage.delete(['chk-000001-e1/a/b']);
  assert.deepEqual(await readdir(root), ['.tmp']);
  assert.equal(await storage.putIfAbsent('chk-000001-e1/a/b', content), 'Created');
});

test('puts and deletes in one folder do not disturb each other', async () => {
  const storage = new LocalStorage(await newFolder());
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      await storage.putIfAbsent(`chk/${index}`, content);
      await storage.delete([`chk/${index}`]);
    }),
  );
  assert.deepEqual(await storage.list(''), []);
});

test('a name that is the folder of another object is refused, in both directions', async () => {
  const storage = new LocalStorage(await newFolder());
  await storage.putIfAbsent('a/b', content);
  await assert.rejects(storage.putIfAbsent('a', content), /is a folder already/);
  await assert.rejects(storage.putIfAbsent('a/b/c', content), /is a file, not a folder/);
});

test('a root that is a file is refused with a clear text and as not worth trying again', async () => {
  const root = join(await newFolder(), 'file');
  await writeFile(root, 'x');
  await assert.rejects(new LocalStorage(root).putIfAbsent('a', content), (error) => {
    assert.ok(error instanceof StorageError);
    assert.equal(error.outcome, 'NotApplied');
    assert.equal(error.retryable, false);
    return true;
  });
});

test('a folder without the right to write is refused with a clear text, and works once the right is there', async (t) => {
  if (process.getuid?.() === 0) {
    // Root may write everywhere; the mapping of the error itself is tested below.
    t.diagnostic('runs as root: only the mapping is tested');
    assert.match(toStorageError(withCode('EACCES'), write).message, /permission denied/);
    return;
  }
  const root = await newFolder();
  await chmod(root, 0o500);
  const storage = new LocalStorage(root);
  await assert.rejects(storage.putIfAbsent('a', content), /permission denied.*EACCES/);
  await chmod(root, 0o700);
  assert.equal(await storage.putIfAbsent('a', content), 'Created');
});

const write = { action: 'write', path: '/checkpoints/a', outcome: 'NotApplied' } as const;

function withCode(code: string): Error {
  return Object.assign(new Error(`${code}: as the system says it`), { code });
}

test('each known failure of the system has a text for people and says whether waiting helps', () => {
  const cases: readonly (readonly [string, RegExp, boolean, 'never' | 'backoff'])[] = [
    ['ENOSPC', /the disk is full/, false, 'backoff'],
    ['EDQUOT', /quota/, false, 'backoff'],
    ['EACCES', /permission denied/, false, 'never'],
    ['EROFS', /read-only/, false, 'backoff'],
    ['EMFILE', /too many files/, true, 'backoff'],
    ['EIO', /input\/output error/, true, 'backoff'],
    ['EWHATEVER', /as the system says it/, true, 'backoff'],
  ];
  for (const [code, message, retryable, retry] of cases) {
    const error = toStorageError(withCode(code), write);
    assert.match(error.message, message);
    assert.match(error.message, /could not write \/checkpoints\/a/);
    assert.equal(error.retryable, retryable, code);
    assert.equal(error.retry, retry, code);
    assert.equal(error.outcome, 'NotApplied');
  }
});

test('a checkpoint storage is opened below its URL by namespace and name, and nothing else is accepted', async () => {
  const root = await newFolder();
  const storage = openCheckpointStorage(`file://${root}`, { namespace: 'default', name: 'word-count' });
  assert.equal(storage.url, `file://${root}/default/word-count`);
  const lineage = { namespace: 'default', name: 'a' };
  for (const url of ['gs://bucket/x', '/tmp/x', 'file://host/x', '', 'file:///x?y']) {
    assert.throws(() => openCheckpointStorage(url, lineage), { code: 'CheckpointStorageUnsupported' }, url);
  }
  for (const name of ['', '..', 'a/b', '.hidden']) {
    assert.throws(() => openCheckpointStorage('file:///x', { namespace: 'default', name }), {
      code: 'CheckpointStorageUnsupported',
    });
  }
});
