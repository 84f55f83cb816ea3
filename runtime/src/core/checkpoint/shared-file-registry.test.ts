// What a TaskManager knows of files in storage, and what it may forget. Who asks, and what becomes of the answer: core/lineage/forgetting.test.ts and
// job-manager/lineage-housekeeping.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedFilePath } from '../lineage/object-paths.ts';
import { type FileHandle, SharedFileRegistry } from './shared-file-registry.ts';

const token = { epoch: 7, executionAttempt: 1 };
const hash = 'ab'.repeat(32);
const file = { name: '000012.sst', sizeBytes: 100_000 };

function handleAt(path: string, sizeBytes = file.sizeBytes): FileHandle {
  return { type: 'file', path, sizeBytes, sha256: hash };
}

function upload(registry: SharedFileRegistry, name = file.name, sha256 = hash): string {
  const path = registry.beginUpload(sha256);
  registry.uploaded(name, { ...handleAt(path), sha256 });
  return path;
}

test('a file that was written is known for as long as the database has it', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  assert.equal(registry.find(file), undefined);
  const path = upload(registry);
  assert.equal(path, `shared/e7-${hash}.sst`);
  assert.equal(registry.find(file)?.path, path);
  registry.retain(['000013.sst']);
  assert.equal(registry.find(file), undefined);
});

test('what is held or being written is not forgotten; what is gone is', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  const path = registry.beginUpload(hash);
  assert.deepEqual(registry.forget(1, [path, 'shared/e6-x.sst']), ['shared/e6-x.sst']);
  registry.uploaded(file.name, handleAt(path));
  assert.deepEqual(registry.forget(2, [path]), []);
  registry.retain([]);
  assert.deepEqual(registry.forget(3, [path]), [path]);
});

test('content that comes again after its name was forgotten gets another name', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  const first = upload(registry);
  registry.retain([]);
  assert.deepEqual(registry.forget(5, [first]), [first]);
  registry.retain(['000020.sst']);
  const second = upload(registry, '000020.sst');
  assert.equal(second, `shared/e7-${hash}-a1-f5.sst`);
  assert.deepEqual(registry.forget(6, [first, second]), [first]);
});

test('another execution attempt of the same epoch never writes under a name of the one before', () => {
  const before = upload(new SharedFileRegistry(token));
  const after = upload(new SharedFileRegistry({ ...token, executionAttempt: 2 }));
  assert.notEqual(after, before);
  assert.equal(after, sharedFilePath({ epoch: 7, sha256: hash, executionAttempt: 2, forgetRequest: 0 }));
});

test('a snapshot that is not acknowledged keeps what compaction has dropped', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  const path = upload(registry);
  assert.equal(registry.find(file, 3)?.path, path);
  registry.retain([]);
  assert.deepEqual(registry.forget(1, [path]), []);
  registry.settled(3);
  assert.deepEqual(registry.forget(2, [path]), [path]);
});

test('an upload that failed leaves nothing known, and its name can be forgotten', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  const path = registry.beginUpload(hash);
  registry.failed(path);
  assert.equal(registry.find(file), undefined);
  assert.deepEqual(registry.forget(1, [path]), [path]);
});

test('a restored file is known by what it is, not by what it is called', () => {
  const registry = new SharedFileRegistry(token);
  const old = handleAt(`shared/e5-${hash}.sst`);
  const source = { ...file, identity: 'inode 1', handle: old };
  registry.restored(
    [
      { name: '000040.sst', sizeBytes: file.sizeBytes, identity: 'inode 1' },
      { ...file, identity: 'inode 2' },
    ],
    [source],
  );
  assert.equal(registry.find({ ...file, name: '000040.sst' })?.path, old.path);
  assert.equal(registry.find(file), undefined);
});

test('a known name with another size ends the task rather than the job some months later', () => {
  const registry = new SharedFileRegistry(token);
  registry.retain([file.name]);
  upload(registry);
  assert.throws(() => registry.find({ ...file, sizeBytes: 1 }), /is known with 100000 bytes and has 1/);
});
