// What every medium must do, run against each: the local file system, the simulated one without faults, and S3 on a real server. The media's own
// ways to fail are in local/local-storage.test.ts and s3/s3-storage.test.ts; faults of the simulated one are exercised by the simulator.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { S3Server, whyNoS3Server } from '../../../hack/s3-server/s3-server.ts';
import { MemoryStorage } from '../../test/fakes/memory-storage.ts';
import type { Clock } from '../core/clock.ts';
import { type CheckpointStorage, StorageError } from './checkpoint-storage.ts';
import { LocalStorage } from './local/local-storage.ts';
import { probeStorage } from './probe-storage.ts';
import { S3Connection } from './s3/s3-connection.ts';
import { S3Storage } from './s3/s3-storage.ts';
import { transferShare } from './s3/transfer-budget.ts';
import { SimulatedMedium } from './simulated/simulated-medium.ts';
import { SimulatedStorage } from './simulated/simulated-storage.ts';
import { getVerified, putObject, putObjectFile, referenceTo } from './verified-objects.ts';

const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  schedule: (_delayMs, callback) => {
    const handle = setImmediate(callback);
    return () => clearImmediate(handle);
  },
};

let s3Server: S3Server | undefined;
before(async () => {
  s3Server = whyNoS3Server === false ? await S3Server.start() : undefined;
});
after(() => s3Server?.[Symbol.asyncDispose]());

const folders: string[] = [];
after(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'flinkjob-storage-'));
  folders.push(folder);
  return folder;
}

/** Each gives several clients of one new medium. */
const media: Record<string, () => Promise<() => CheckpointStorage>> = {
  local: async () => {
    const folder = await newFolder();
    return () => new LocalStorage(join(folder, 'default', 'job'));
  },
  simulated: async () => {
    const medium = new SimulatedMedium(() => clock.nowMs());
    return () =>
      new SimulatedStorage({
        medium,
        network: clock,
        deliver: (answer) => answer(),
        fate: () => ({ requestMs: 1, answerMs: 1, fault: 'None' }),
        name: 'test',
      });
  },
  s3: async () => {
    assert(s3Server !== undefined);
    const { bucket, credentials, endpoint } = s3Server;
    const settings = { endpoint, isPathStyle: true, kmsKeyId: undefined };
    const prefix = `lineage-${randomUUID()}`;
    return () => new S3Storage(new S3Connection({ settings, share: transferShare(1), credentials }), { bucket, prefix });
  },
};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : new TextDecoder().decode(content);
const paths = (objects: readonly { readonly path: string }[]): readonly string[] => objects.map(({ path }) => path);

for (const [name, medium] of Object.entries(media)) {
  if (name === 's3' && whyNoS3Server !== false) {
    test('checkpoint storage, s3', { skip: whyNoS3Server }, () => {});
    continue;
  }
  describe(`checkpoint storage, ${name}`, () => {
    test('what was put is read back by another client, and a missing path is undefined', async () => {
      const client = await medium();
      assert.equal(await client().putIfAbsent('lineage/1.json', bytes('one')), 'Created');
      assert.equal(text(await client().get('lineage/1.json')), 'one');
      assert.equal(await client().get('lineage/2.json'), undefined);
      assert.equal(await client().get('lineage'), undefined);
      assert.equal(await client().get('lineage/1.json/below'), undefined);
    });

    test('an empty object is an object', async () => {
      const storage = (await medium())();
      assert.equal(await storage.putIfAbsent('empty', bytes('')), 'Created');
      assert.equal(await storage.putIfAbsent('empty', bytes('more')), 'Occupied');
      assert.equal(text(await storage.get('empty')), '');
    });

    test('the second put of a name is refused and changes nothing', async () => {
      const client = await medium();
      assert.equal(await client().putIfAbsent('a/b', bytes('first')), 'Created');
      assert.equal(await client().putIfAbsent('a/b', bytes('second')), 'Occupied');
      assert.equal(text(await client().get('a/b')), 'first');
    });

    test('of many racing puts exactly one creates, and its bytes stay', async () => {
      const client = await medium();
      const writers = Array.from({ length: 16 }, (_, index) => index);
      const answers = await Promise.all(writers.map((index) => client().putIfAbsent('race', bytes(`writer ${index}`))));
      assert.equal(answers.filter((answer) => answer === 'Created').length, 1);
      assert.equal(text(await client().get('race')), `writer ${answers.indexOf('Created')}`);
    });

    test('the caller may reuse its buffer after the put', async () => {
      const storage = (await medium())();
      const buffer = bytes('before');
      await storage.putIfAbsent('a', buffer);
      buffer.fill(0);
      assert.equal(text(await storage.get('a')), 'before');
    });

    test('a file is put and fetched, and outlives the one it was put from', async () => {
      const client = await medium();
      const folder = await newFolder();
      const file = join(folder, 'a.sst');
      await writeFile(file, 'content');
      assert.equal(await client().putFileIfAbsent('chk/a.sst', file), 'Created');
      assert.equal(await client().putFileIfAbsent('chk/a.sst', file), 'Occupied');
      await rm(file);
      assert.equal(text(await client().get('chk/a.sst')), 'content');
      const fetched = join(folder, 'fetched');
      assert.equal(await client().getFile('chk/a.sst', fetched), 'Created');
      assert.equal(await readFile(fetched, 'utf8'), 'content');
      await assert.rejects(client().getFile('chk/a.sst', fetched), /EEXIST|exists/);
      assert.equal(await client().getFile('chk/none', join(folder, 'none')), 'Missing');
      await assert.rejects(readFile(join(folder, 'none')), { code: 'ENOENT' });
      await client().delete(['chk/a.sst']);
      assert.equal(await readFile(fetched, 'utf8'), 'content');
    });

    test('a file that is put twice by one writer is success, other content under its name is an error', async () => {
      const storage = (await medium())();
      const file = join(await newFolder(), 'a.sst');
      await writeFile(file, 'content');
      const reference = referenceTo('chk/a.sst', bytes('content'));
      assert.deepEqual(await putObjectFile({ storage, clock }, reference, file), reference);
      assert.deepEqual(await putObjectFile({ storage, clock }, reference, file), reference);
      await storage.putIfAbsent('chk/b.sst', bytes('foreign'));
      const foreign = putObjectFile({ storage, clock }, { ...reference, path: 'chk/b.sst' }, file);
      await assert.rejects(foreign, { code: 'CheckpointDamaged' });
    });

    test('an object is copied within its medium, never over another, and outlives what it was copied from', async () => {
      const client = await medium();
      await client().putIfAbsent('chk/a.sst', bytes('content'));
      assert.equal(await client().copyFrom(client(), 'chk/a.sst', 'export/a.sst'), 'Created');
      assert.equal(await client().copyFrom(client(), 'chk/a.sst', 'export/a.sst'), 'Occupied');
      await client().delete(['chk/a.sst']);
      assert.equal(text(await client().get('export/a.sst')), 'content');
      assert.equal(await client().copyFrom(client(), 'chk/a.sst', 'export/b.sst'), 'Missing');
      assert.equal(await client().get('export/b.sst'), undefined);
      await client().putIfAbsent('chk/empty', bytes(''));
      assert.equal(await client().copyFrom(client(), 'chk/empty', 'export/empty'), 'Created');
      assert.equal(text(await client().get('export/empty')), '');
    });

    test('a copy from another kind of medium is not supported and does nothing', async () => {
      const storage = (await medium())();
      const other = new MemoryStorage();
      await other.putIfAbsent('a', bytes('content'));
      assert.equal(await storage.copyFrom(other, 'a', 'b'), 'Unsupported');
      assert.deepEqual(await storage.list(''), []);
    });

    test('listing is sorted, complete below a prefix, and starts after a path', async () => {
      const storage = (await medium())();
      for (const path of ['lineage/10', 'lineage/9', 'chk-000001-e1/_metadata', 'chk-000001-e1/state', 'lineage.txt']) {
        await storage.putIfAbsent(path, bytes(path));
      }
      assert.deepEqual(paths(await storage.list('lineage/')), ['lineage/10', 'lineage/9']);
      assert.deepEqual(paths(await storage.list('lineage/', 'lineage/10')), ['lineage/9']);
      assert.deepEqual(paths(await storage.list('nothing/')), []);
      const all = await storage.list('');
      assert.deepEqual(paths(all), ['chk-000001-e1/_metadata', 'chk-000001-e1/state', 'lineage.txt', 'lineage/10', 'lineage/9']);
      assert.equal(all[0]?.sizeBytes, 'chk-000001-e1/_metadata'.length);
    });

    test('deleting frees a name, ignores missing ones and leaves the others', async () => {
      const storage = (await medium())();
      await storage.putIfAbsent('chk/a', bytes('a'));
      await storage.putIfAbsent('chk/b', bytes('b'));
      await storage.delete(['chk/a', 'chk/missing', 'other/missing']);
      assert.equal(await storage.get('chk/a'), undefined);
      assert.equal(text(await storage.get('chk/b')), 'b');
      await storage.delete(['chk/b']);
      assert.deepEqual(await storage.list(''), []);
      assert.equal(await storage.putIfAbsent('chk/a', bytes('again')), 'Created');
    });

    test('a path that could leave the root, or that a medium cannot hold, is refused before anything happens', async () => {
      const storage = (await medium())();
      const bad = ['', '/a', 'a/', 'a//b', '../a', 'a/../b', '.', 'a/./b', '.tmp/x', 'a\\b', 'a\0', 'a b', 'ä', 'x'.repeat(901)];
      for (const path of bad) {
        const refused = (error: unknown): boolean =>
          error instanceof StorageError && error.outcome === 'NotApplied' && !error.retryable;
        await assert.rejects(storage.putIfAbsent(path, bytes('x')), refused, path);
        await assert.rejects(storage.get(path), refused, path);
        await assert.rejects(storage.delete([path]), refused, path);
      }
      assert.deepEqual(await storage.list(''), []);
    });

    test('the probe accepts it and leaves nothing behind', async () => {
      const storage = (await medium())();
      await probeStorage(storage, 'nonce-1');
      assert.deepEqual(await storage.list(''), []);
    });

    test('an object is read only when length and hash are those that were written', async () => {
      const storage = (await medium())();
      const reference = await putObject({ storage, clock }, 'chk-000001-e1/_metadata', bytes('manifest'));
      assert.equal(text(await getVerified(storage, reference)), 'manifest');
      assert.deepEqual(await putObject({ storage, clock }, reference.path, bytes('manifest')), reference);
      const damaged = { code: 'CheckpointDamaged', domain: 'external' };
      await assert.rejects(putObject({ storage, clock }, reference.path, bytes('another!')), damaged);
      await assert.rejects(getVerified(storage, { ...reference, sizeBytes: 7 }), damaged);
      await assert.rejects(getVerified(storage, { ...reference, sha256: '0'.repeat(64) }), damaged);
      await assert.rejects(getVerified(storage, { ...reference, path: 'chk-000002-e1/_metadata' }), damaged);
    });
  });
}

describe('a storage that the probe must refuse', () => {
  test('because the second of two puts wins', async () => {
    const objects = new Map<string, Uint8Array>();
    const storage = storageOf(objects, async (path, content) => {
      const occupied = objects.has(path);
      await Promise.resolve();
      objects.set(path, content);
      return occupied ? 'Occupied' : 'Created';
    });
    await assert.rejects(probeStorage(storage, 'n'), { code: 'CheckpointStorageUnsafe' });
  });

  test('because it ignores the condition', async () => {
    const objects = new Map<string, Uint8Array>();
    const storage = storageOf(objects, async (path, content) => {
      objects.set(path, content);
      return 'Created';
    });
    await assert.rejects(probeStorage(storage, 'n'), {
      code: 'CheckpointStorageUnsafe',
      message: /two writers created one name/,
    });
  });

  test('because nothing can be written there, with the reason and as not worth trying again', async () => {
    const storage = storageOf(new Map(), () =>
      Promise.reject(
        new StorageError('could not write /x: the disk is full (ENOSPC)', { outcome: 'NotApplied', retryable: false }),
      ),
    );
    await assert.rejects(probeStorage(storage, 'n'), {
      code: 'CheckpointStorageNotWritable',
      retry: 'never',
      message: /the disk is full/,
    });
  });

  function storageOf(objects: Map<string, Uint8Array>, putIfAbsent: CheckpointStorage['putIfAbsent']): CheckpointStorage {
    return {
      url: 'test:///',
      putIfAbsent,
      putFileIfAbsent: async (path, file) => putIfAbsent(path, await readFile(file)),
      get: async (path) => objects.get(path),
      getFile: async (path, file) => {
        const found = objects.get(path);
        if (found === undefined) {
          return 'Missing';
        }
        await writeFile(file, found, { flag: 'wx' });
        return 'Created';
      },
      copyFrom: async () => 'Unsupported',
      list: async () => [...objects.keys()].map((path) => ({ path, sizeBytes: 0, modifiedAtMs: 0 })),
      delete: async (names) => {
        for (const path of names) {
          objects.delete(path);
        }
      },
    };
  }
});
