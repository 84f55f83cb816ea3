// The command `run` with RocksDB, killed again and again while it takes checkpoints one after the other: what is committed stays whole, and every file
// that a checkpoint names is there with the content that it names.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { getVerified } from '../checkpoint-storage/verified-objects.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { readManifest } from '../job-manager/manifest-store.ts';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';
import { systemClock } from '../system-clock.ts';

const skip = nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';
const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const module = fileURLToPath(new URL('../../test/jobs/padded-counts.ts', import.meta.url));
const killCount = 5;

test('kills while files are put lose nothing and leave no checkpoint without its files', {
  skip,
  timeout: 120_000,
}, async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'kill-shared-'));
  await mkdir(join(directory, 'tmp'));
  let child: ChildProcess | undefined;
  context.after(async () => {
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true, force: true });
  });
  const start = (): ChildProcess => {
    const job = [module, '--arg', `out=${join(directory, 'out')}`, '--arg', 'count=1000000000', '--arg', 'rate=2000'];
    const state = [
      '--checkpoint-storage',
      join(directory, 'storage'),
      '--checkpoint-interval',
      '0.05',
      '--state-backend',
      'RocksDB',
    ];
    child = spawn(process.execPath, [main, 'run', ...job, ...state], {
      env: { ...process.env, TMPDIR: join(directory, 'tmp') },
      stdio: 'ignore',
    });
    return child;
  };

  let lineCount = 0;
  for (let kill = 0; kill <= killCount; kill += 1) {
    const process = start();
    while ((await committedLines(join(directory, 'out'))).length <= lineCount) {
      await delay(50);
    }
    // A few checkpoints later, at whatever they are doing.
    await delay(200 + kill * 130);
    process.kill(kill === killCount ? 'SIGINT' : 'SIGKILL');
    await once(process, 'exit');
    lineCount = (await committedLines(join(directory, 'out'))).length;
  }
  assertWhole(await committedLines(join(directory, 'out')));

  const checkpointStorage = pathToFileURL(join(directory, 'storage')).href;
  const storage = openCheckpointStorage(checkpointStorage, { namespace: 'default', name: 'padded-counts' });
  const ports = { storage, clock: systemClock, nonce: () => 'reader', openStorageAt, log: silent };
  const { view } = await LineageLog.read(ports);
  const epochs = new Set<string>();
  assert.ok(view.epoch > killCount && view.checkpoints.length > 0);
  for (const record of view.checkpoints) {
    for (const file of namedFiles(await readManifest(ports, record.manifest))) {
      await getVerified(storage, file);
      epochs.add(file.path.slice(0, file.path.indexOf('-')));
    }
  }
  assert.ok(
    [...epochs].some((name) => name.startsWith('shared/e')),
    [...epochs].join(),
  );
});

const silent = { debug() {}, info() {}, warn() {}, error() {} };

async function committedLines(out: string): Promise<readonly string[]> {
  const names = existsSync(out) ? (await readdir(out)).filter((name) => name.startsWith('part-')) : [];
  // By checkpoint; at parallelism 1 that is the order of the records.
  const contents = await Promise.all(names.toSorted().map((name) => readFile(join(out, name), 'utf8')));
  return contents.flatMap((content) => content.trimEnd().split('\n'));
}

/** Each key is counted from 1 on, and its records came in order. */
function assertWhole(lines: readonly string[]): void {
  const next = new Map<string, number>();
  for (const line of lines) {
    const [key = '', count] = line.split(' ');
    assert.equal(line, `${key} ${(next.get(key) ?? 0) + 1} true`);
    next.set(key, Number(count));
  }
}
