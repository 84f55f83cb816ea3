// Operator state of a running job: what each subtask has is there once after stops, a kill and other parallelisms, with both state backends. How elements
// are dealt is in core/restore/deal-lists.test.ts, what a list does in task-manager/operator-lists.test.ts.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';
import { openSnapshot } from '../state-reader/open-snapshot.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const job = fileURLToPath(new URL('../../test/jobs/operator-lists.ts', import.meta.url));

interface Run {
  readonly parallelism: number;
  readonly storage: string;
  readonly stateBackend: string;
  /** Ends it after its first records: with a savepoint, or without a word after a checkpoint of its own. */
  readonly end: 'SIGINT' | 'SIGKILL';
}

async function run({ parallelism, storage, stateBackend, end }: Run): Promise<void> {
  const options = ['--parallelism', `${parallelism}`, '--checkpoint-storage', storage, '--checkpoint-interval', '1'];
  const child = spawn(process.execPath, [main, 'run', job, ...options, '--state-backend', stateBackend], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const stderr = text(child.stderr);
  const before = await checkpoints(storage);
  let lineCount = 0;
  for await (const _ of createInterface({ input: child.stdout })) {
    lineCount++;
    if (lineCount === 1) {
      void whenToEnd(end, storage, before).then(() => child.kill(end));
    }
  }
  const [code] = await exit;
  assert.equal(code, end === 'SIGINT' ? 0 : null, await stderr);
}

/** Looks until there are two manifests that were not there: the second is written after the first is complete. The test's own time limit bounds it. */
async function whenToEnd(end: Run['end'], storage: string, before: readonly string[]): Promise<void> {
  while (end === 'SIGKILL' && (await checkpoints(storage)).filter((name) => !before.includes(name)).length < 2) {
    await delay(20);
  }
}

/** Where `run` puts the job's lineage. */
function lineageIn(storage: string): string {
  return join(storage, 'default', 'operator-lists');
}

async function checkpoints(storage: string): Promise<readonly string[]> {
  return (await readdir(storage, { recursive: true })).filter((name) => name.endsWith('_metadata'));
}

async function contents(storage: string) {
  await using snapshot = await openSnapshot(lineageIn(storage));
  const elements = async (uid: string, state: string) => {
    const found: unknown[] = [];
    for await (const { value } of snapshot.operator(uid).listElements({ state })) {
      found.push(value);
    }
    return found;
  };
  let counted = 0;
  for await (const entry of snapshot.operator('counts').entries({ state: 'count' })) {
    counted += entry.type === 'State' ? (entry.value as number) : 0;
  }
  return {
    seen: (await elements('seen', 'seen')) as number[],
    owners: await elements('seen', 'owners'),
    total: ((await elements('counts', 'total')) as number[]).reduce((sum, part) => sum + part, 0),
    counted,
  };
}

const runs = {
  HashMap: [
    { parallelism: 2, end: 'SIGKILL' },
    { parallelism: 3, end: 'SIGINT' },
  ],
  RocksDB: [
    { parallelism: 1, end: 'SIGINT' },
    { parallelism: 3, end: 'SIGKILL' },
    { parallelism: 2, end: 'SIGINT' },
  ],
} as const;

for (const stateBackend of ['HashMap', 'RocksDB'] as const) {
  const skip = stateBackend === 'RocksDB' && nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';
  test(`every element is there once, over other parallelisms and a kill, with ${stateBackend}`, {
    skip,
    timeout: 120_000,
  }, async () => {
    const storage = await mkdtemp(join(tmpdir(), 'operator-lists-test-'));
    try {
      let known = 0;
      let knew = 0;
      for (const { parallelism, end } of runs[stateBackend]) {
        await run({ parallelism, storage, stateBackend, end });
        const { seen, owners, total, counted } = await contents(storage);
        assert.deepEqual(
          seen.toSorted((a, b) => a - b),
          Array.from(seen, (_, index) => index),
          'every number up to the last one, once',
        );
        assert.ok(seen.length > known);
        assert.deepEqual(
          owners,
          Array.from({ length: parallelism }, (_, subtask) => ({ subtask, of: parallelism, knew })),
        );
        assert.deepEqual({ total, counted }, { total: seen.length, counted: seen.length });
        known = seen.length;
        knew = parallelism;
      }
    } finally {
      await rm(storage, { recursive: true, force: true });
    }
  });
}

test('the state tool shows operator state, and says so where a key is asked for', { timeout: 120_000 }, async () => {
  const storage = await mkdtemp(join(tmpdir(), 'operator-lists-test-'));
  const state = async (...args: readonly string[]) =>
    await promisify(execFile)(process.execPath, [main, 'state', ...args]).catch((error: Error) => ({
      stdout: '',
      stderr: String((error as Error & { stderr: unknown }).stderr),
    }));
  try {
    await run({ parallelism: 2, storage, stateBackend: 'HashMap', end: 'SIGINT' });
    const lineage = lineageIn(storage);
    const [ls, scan, get, keyed, export_] = await Promise.all([
      state('ls', lineage),
      state('scan', lineage, 'seen', 'owners', '-o', 'json'),
      state('get', lineage, 'seen', 'owners'),
      state('get', lineage, 'seen', 'owners', '1'),
      state('export', lineage, '-', '--to', 'jsonl', '--uid', 'seen', '--state', 'owners'),
    ]);
    assert.match(ls.stdout, /owners +struct.* Union +2 +1, 1/);
    const lines = [0, 1].map((subtask) =>
      JSON.stringify({ uid: 'seen', operatorState: 'owners', subtask, index: 0, value: { subtask, of: 2, knew: 0 } }),
    );
    assert.equal(scan.stdout, lines.map((line) => `${line}\n`).join(''));
    assert.match(get.stdout, /1 +owners +0 +\{"subtask":1,"of":2,"knew":0\}/);
    assert.match(keyed.stderr, /'owners' of 'seen' is operator state, which has no keys/);
    assert.deepEqual(export_.stdout.trimEnd().split('\n').slice(1), lines);
  } finally {
    await rm(storage, { recursive: true, force: true });
  }
});
