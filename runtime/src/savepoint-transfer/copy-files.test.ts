// What import and export copy, and what they refuse to copy; whole transfers are tested with both of them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { systemClock } from '../system-clock.ts';
import { copyFiles } from './copy-files.ts';

test('a file that was changed is not linked from one local directory to another', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'flinkjob-copy-test-'));
  t.after(() => rm(root, { recursive: true }));
  const [source, target] = ['source', 'target'].map((name) => openStorageAt(pathToFileURL(join(root, name)).href));
  assert.ok(source !== undefined && target !== undefined);
  const bytes = new TextEncoder().encode('rows of state');
  await source.putIfAbsent('good.sst', bytes);
  await source.putIfAbsent('bad.sst', bytes);
  await writeFile(join(root, 'source', 'bad.sst'), 'rows of stale');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const copy = (name: string) =>
    copyFiles([{ from: name, to: `shared/${name}`, sizeBytes: bytes.byteLength, sha256 }], {
      ...{ source, target, clock: systemClock, onProgress: () => {} },
    });
  await copy('good.sst');
  assert.deepEqual(await target.get('shared/good.sst'), bytes);
  await assert.rejects(copy('bad.sst'), { code: 'CheckpointDamaged', message: /bad\.sst has other content/ });
  assert.equal(await target.get('shared/bad.sst'), undefined);
});
