// A job whose struct in keyed state changes from version to version, with other parallelisms, stopped and started as a user would. All that may change is in
// state-backend/conformance-evolution.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const job = fileURLToPath(new URL('../../test/jobs/growing-totals.ts', import.meta.url));

/** Runs until there is a line, then stops with a savepoint; gives that line. Without a line it ends by itself. */
async function run(version: string, parallelism: number, storage: string, stateBackend: string) {
  const args = ['--arg', `version=${version}`, '--parallelism', `${parallelism}`, '--checkpoint-storage', storage];
  const child = spawn(
    process.execPath,
    [main, 'run', job, ...args, '--checkpoint-interval', '1', '--state-backend', stateBackend],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const exit = once(child, 'exit');
  const stderr = text(child.stderr);
  let first = '';
  for await (const line of createInterface({ input: child.stdout })) {
    const found = / key-0 (.*)$/.exec(line)?.[1];
    if (found !== undefined && first === '') {
      first = found;
      child.kill('SIGINT');
    }
  }
  await exit;
  return { first, stderr: await stderr };
}

for (const stateBackend of ['HashMap', 'RocksDB']) {
  const skip = stateBackend === 'RocksDB' && nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';
  test(`values follow their declaration over three versions and three parallelisms, with ${stateBackend}`, { skip }, async () => {
    const storage = await mkdtemp(join(tmpdir(), 'evolving-state-test-'));
    try {
      const v1 = await run('v1', 1, storage, stateBackend);
      assert.equal(v1.first, 'undefined', v1.stderr);
      const v2 = await run('v2', 2, storage, stateBackend);
      const { count, ...rest } = JSON.parse(v2.first) as { readonly count: number };
      assert.deepEqual(rest, { remark: 'made by v1', since: 'v1' });
      assert.ok(Number.isSafeInteger(count) && count > 0);
      const v3 = await run('v3', 3, storage, stateBackend);
      const after = JSON.parse(v3.first) as { readonly count: number };
      assert.deepEqual(Object.keys(after), ['count', 'since']);
      assert.ok(after.count > count);
      const { first, stderr } = await run('broken', 1, storage, stateBackend);
      assert.equal(first, '');
      assert.match(stderr, /'totals': state 'total': the field \.count was double and is string \[StateTypeChanged\]/);
    } finally {
      await rm(storage, { recursive: true, force: true });
    }
  });
}
