/** State larger than the memory of its TaskManager, in short on a real process; in full: `npm run bench -- large-state`. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { measureLargeState } from '../../../hack/bench/state/large-state.ts';

const addons = fileURLToPath(new URL('../../../.cache/native/', import.meta.url));
const skip = existsSync(addons) ? false : 'the RocksDB addon is not built';

test('a TaskManager with 2.5 times its memory in state stays below its limit, and every value that is read is the one that was written', {
  skip,
}, async (t) => {
  const { resultsChecked, ...measured } = await measureLargeState({ isQuick: true, signal: t.signal });
  assert.ok(typeof resultsChecked === 'number' && resultsChecked > 0, JSON.stringify(resultsChecked));
  t.diagnostic(JSON.stringify(measured));
});
