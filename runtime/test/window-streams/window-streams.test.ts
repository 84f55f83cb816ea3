/**
 * Windows of all kinds against a plain model, over random streams: out of order, late, before the epoch, with watermarks that jump, with checkpoints
 * restored at another parallelism in between. `main.ts` runs more of them. Single rules by name are in core/windows/window-operator.test.ts.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whyMissing } from '../state-programs/contestants.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Opening databases takes its time; `npm run window-streams -- --backend rocksdb` runs more of them. */
for (const { backend, streamCount } of [
  { backend: 'hashmap', streamCount: 1_500 },
  { backend: 'rocksdb', streamCount: 250 },
] as const) {
  const skip = whyMissing(backend) ?? false;
  test(`${streamCount} random streams through windows give on ${backend} what a plain model works out from the whole input`, {
    skip,
  }, async () => {
    const args = ['--seeds', `${streamCount}`, '--backend', backend];
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...args]).catch(
      (error: { stdout?: string; stderr?: string }) => {
        throw new Error(`${error.stdout ?? ''}${error.stderr ?? ''}`, { cause: error });
      },
    );
    assert.match(stdout, new RegExp(`^${streamCount} streams .* 0 failed\\n$`, 'u'));
  });
}
