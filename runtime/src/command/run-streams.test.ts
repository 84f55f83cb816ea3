// Whole jobs in which streams meet, in one process with several threads: union, connect, broadcast, side outputs, event time to the end of the
// input, and a restore of broadcast state at another parallelism. Exit codes and signals are in run.test.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const moduleOf = (name: string) => fileURLToPath(new URL(`../../test/jobs/${name}.ts`, import.meta.url));

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'run-streams-test-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function run(...args: readonly string[]) {
  const child = spawn(process.execPath, [main, 'run', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]).then(([[code], stdout, stderr]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return { child, end };
}

async function committed(path: string): Promise<readonly string[]> {
  const names = existsSync(path) ? (await readdir(path)).filter((name) => name.startsWith('part-')) : [];
  const contents = await Promise.all(names.map((name) => readFile(join(path, name), 'utf8')));
  return contents.flatMap((content) => content.trimEnd().split('\n'));
}

const count = 3000;
const keys = Array.from({ length: 7 }, (_, index) => `key-${index}`);

/** What both streams bring: `key-n` at a time, the second stream's keys moved by three. */
const events = [0, 3].flatMap((offset) =>
  Array.from({ length: count }, (_, index) => ({ key: `key-${(index + offset) % 7}`, atMs: index * 10, isLeft: offset === 0 })),
);

function countBy(lines: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) {
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return counts;
}

test('streams that meet give every result once, at any parallelism', async () => {
  for (const parallelism of [1, 3]) {
    const out = join(directory, `${parallelism}`);
    const args = ['--arg', `out=${out}`, '--arg', `count=${count}`, '--parallelism', `${parallelism}`];
    const { code, stderr } = await run(moduleOf('meeting-streams'), ...args).end;
    assert.equal(code, 0, stderr);
    const perSecond = countBy(events.map(({ key, atMs }) => `${key} ${Math.floor(atMs / 1000)}`));
    assert.deepEqual(
      (await committed(join(out, 'counts'))).toSorted(),
      [...perSecond].map(([bucket, seen]) => `${bucket} ${seen}`).toSorted(),
    );
    assert.deepEqual(
      (await committed(join(out, 'odd'))).toSorted(),
      events
        .filter(({ atMs }) => (atMs / 10) % 2 === 1)
        .map(({ key, atMs }) => `${key} ${atMs}`)
        .toSorted(),
    );
    const sides = countBy(events.map(({ key, isLeft }) => `${key} ${isLeft}`));
    assert.deepEqual(
      (await committed(join(out, 'compare'))).toSorted(),
      keys.map((key) => `${key} ${sides.get(`${key} true`)} ${sides.get(`${key} false`)}`),
    );
    assert.deepEqual(
      (await committed(join(out, 'rules'))).toSorted(),
      keys.map((key) => `${key} 0,1,2,3,4`),
    );
    assert.deepEqual(
      countBy(await committed(join(out, 'lengths'))),
      new Map(Object.entries({ 'left 5': count, 'right 5': count })),
    );
  }
});

test('broadcast state is there in every subtask after a restore, at another parallelism too', async () => {
  const out = join(directory, 'out');
  const args = ['--arg', `out=${out}`, '--checkpoint-storage', join(directory, 'storage'), '--checkpoint-interval', '0.2'];
  for (const parallelism of [2, 3, 1]) {
    await rm(out, { recursive: true, force: true });
    const { child, end } = run(moduleOf('broadcast-rules'), ...args, '--parallelism', `${parallelism}`);
    while ((await committed(out)).filter((line) => line.endsWith(' 5')).length < 500) {
      assert.equal(child.exitCode, null, 'the job runs until it is stopped');
      await delay(50);
    }
    child.kill('SIGINT');
    const { code, stderr } = await end;
    assert.equal(code, 0, stderr);
    const lines = await committed(out);
    if (parallelism !== 2) {
      assert.deepEqual(
        lines.filter((line) => !line.endsWith(' 5')),
        [],
        'every rule is known from the first event on',
      );
      assert.ok(
        lines.every((line) => Number(line.split(' ')[1]) > 1),
        'keyed state goes on as well',
      );
    }
  }
});

test('what was late is late again after a restore, from the first record on and at another parallelism', async () => {
  const out = join(directory, 'out');
  const args = ['--arg', `out=${out}`, '--checkpoint-storage', join(directory, 'storage'), '--checkpoint-interval', '0.2'];
  for (const parallelism of [2, 3]) {
    await rm(out, { recursive: true, force: true });
    const { child, end } = run(moduleOf('late-records'), ...args, '--parallelism', `${parallelism}`);
    while ((await committed(out)).filter((line) => line.endsWith('true')).length < 100) {
      assert.equal(child.exitCode, null, 'the job runs until it is stopped');
      await delay(50);
    }
    child.kill('SIGINT');
    const { code, stderr } = await end;
    assert.equal(code, 0, stderr);
    if (parallelism === 3) {
      const lines = await committed(out);
      assert.deepEqual(
        lines.filter((line) => line.endsWith('true') !== (Number(line.split(' ')[0]) % 10 === 0)),
        [],
      );
    }
  }
});

test('at the end of the input event-time timers fire, and a warning says how many timers of the clock never will', async () => {
  const { code, stdout, stderr } = await run(moduleOf('forgotten-timers')).end;
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    stdout.trimEnd().split('\n').toSorted(),
    Array.from({ length: 10 }, (_, index) => `key-${index} EventTime`),
  );
  assert.match(
    stderr,
    /^warning: the input has ended, and processing-time timers .* will never fire.*vertexId results.*count \d+\)\n$/,
  );
});
