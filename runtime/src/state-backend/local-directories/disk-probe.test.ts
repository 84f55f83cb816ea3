import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { probeDisk } from './disk-probe.ts';

test('a probe stays within its bytes, gives figures that fit together, and leaves nothing', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'disk-probe-'));
  context.after(() => rm(directory, { recursive: true }));
  const probe = await probeDisk(directory);
  assert.ok(probe.writeMegabytesPerSecond > 0 && Number.isFinite(probe.writeMegabytesPerSecond));
  assert.ok(probe.syncMedianMs > 0 && probe.syncMedianMs <= probe.syncMaxMs);
  assert.ok(probe.writtenSizeBytes >= 1024 * 1024 && probe.writtenSizeBytes <= 64 * 1024 * 1024, `${probe.writtenSizeBytes}`);
  assert.ok(probe.durationMs >= probe.syncMaxMs);
  assert.equal(probe.hardLinks, true);
  assert.deepEqual(await readdir(directory), []);
});

test('a probe does not write over what is there', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'disk-probe-'));
  context.after(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, 'probe'), 'mine');
  await assert.rejects(probeDisk(directory), { code: 'EEXIST' });
  assert.deepEqual(await readdir(directory), ['probe']);
});
