// What an author reads who gives a value that is not of its declared type: which operator, which state or that it is the key, and where inside.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const job = fileURLToPath(new URL('../../test/jobs/wrong-types.ts', import.meta.url));

for (const [what, parallelism, expected] of [
  ['key', 1, /operator 'totals', subtask 0: the key: expected string, got the number 7/],
  ['key', 2, /operator 'words', subtask \d: the key that keyBy selects: expected string, got the number 7/],
  ['value', 1, /operator 'totals', subtask 0: the value state "total": expected int .* at \.sum, got the string "word-0"/],
  ['mapKey', 1, /operator 'totals', subtask 0: a key of the map state "byName": expected string, got the number 5/],
  ['element', 1, /operator 'totals', subtask 0: the list state "seen": expected int .*, got the string "one"/],
] as const) {
  test(`a wrong ${what} at parallelism ${parallelism} is said by name`, async () => {
    const child = spawn(process.execPath, [main, 'run', job, '--arg', `what=${what}`, '--parallelism', `${parallelism}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.notEqual(code, 0);
    assert.match(stderr, expected);
  });
}
