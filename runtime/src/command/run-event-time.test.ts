// Event time in whole jobs, in one process with several threads: the five known ways in which idleness and alignment of sources stop a job, and windows by
// the file. The rules themselves are in core/time and core/windows.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const scriptedSplits = fileURLToPath(new URL('../../test/jobs/scripted-splits.ts', import.meta.url));
/** Far above what a job here takes; one that stands still never ends. */
const timeoutMs = 60_000;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'run-event-time-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function start(scenario: string, parallelism: number) {
  const args = [main, 'run', scriptedSplits, '--parallelism', `${parallelism}`];
  return spawn(process.execPath, [...args, '--arg', `scenario=${scenario}`, '--arg', `out=${directory}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
}

interface Line {
  readonly split: string;
  readonly start: number;
  readonly count: number;
  /** Read before another split had ended. */
  readonly before: number;
  /** How far the watermark was beyond the window when it fired. */
  readonly lagMs: number;
}

async function runToEnd(scenario: string, parallelism: number): Promise<readonly Line[]> {
  const child = start(scenario, parallelism);
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)]);
  assert.equal(code, 0, `${scenario} did not come to its end: ${stderr}`);
  assert.deepEqual(await committed('late'), [], 'no record is late');
  return (await committed('counts')).map((line) => {
    const [split = '', ...numbers] = line.split(' ');
    const [start = 0, count = 0, before = 0, lagMs = 0] = numbers.map(Number);
    return { split, start, count, before, lagMs };
  });
}

async function committed(name: string): Promise<readonly string[]> {
  const path = join(directory, name);
  const names = existsSync(path) ? (await readdir(path)).filter((file) => file.startsWith('part-')) : [];
  const contents = await Promise.all(names.map((file) => readFile(join(path, file), 'utf8')));
  return contents.flatMap((content) => (content === '' ? [] : content.trimEnd().split('\n')));
}

function countOf(lines: readonly Line[], split: string): number {
  return lines.filter((line) => line.split === split).reduce((sum, { count }) => sum + count, 0);
}

test('the example counts every page view in its minute or tells it apart as late', async () => {
  const example = fileURLToPath(new URL('../../../examples/page-views', import.meta.url));
  const args = ['--arg', `views=${join(example, 'views')}`, '--arg', 'linesPerSecond=60', '--arg', `out=${directory}`];
  const child = spawn(process.execPath, [main, 'run', join(example, 'page-views.ts'), '--parallelism', '2', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)]);
  assert.equal(code, 0, stderr);
  const last = new Map<string, number>();
  for (const line of await committed('counts')) {
    const [minute = '', page = '', views] = line.split(' ');
    last.set(`${minute} ${page}`, Math.max(Number(views), last.get(`${minute} ${page}`) ?? 0));
  }
  const late = await committed('late');
  assert.ok(late.length > 0, 'some views are far too late');
  assert.equal([...last.values()].reduce((sum, views) => sum + views, 0) + late.length, 600);
});

test('source subtasks without splits, which never end either, hold up neither windows nor their alignment group', async () => {
  const child = start('withoutSplits', 3);
  const exited = once(child, 'exit');
  const errors = text(child.stderr);
  let shown = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    assert.match(line, / only \d+ 10 10 -?\d{1,9}$/);
    // Some seconds of event time more than the drift that is allowed.
    if (++shown === 20) {
      child.kill('SIGKILL');
    }
  }
  await exited;
  assert.ok(shown >= 20, `only ${shown} windows fired: ${await errors}`);
});

test('a split that is silent holds up neither windows nor its group after its time, and is read when it is back far ahead', async () => {
  const lines = await runToEnd('silentSplit', 2);
  assert.equal(countOf(lines, 'steady'), 120);
  assert.equal(countOf(lines, 'silent'), 20);
  // It comes back at 30,000, when the steady one has ended at 24,000.
  const inTime = lines.filter(({ split, lagMs }) => split === 'steady' && lagMs < 5_000);
  assert.ok(inTime.length >= 5, `${inTime.length} windows fired while the other split was silent`);
});

test('splits do not become idle while their source waits for its consumers', async () => {
  const lines = await runToEnd('backPressure', 2);
  assert.equal(countOf(lines, 'ahead'), 2_000);
  assert.equal(countOf(lines, 'behind'), 2_000);
});

test('a split that is paused for longer than the time of idleness resumes when the one it waited for has ended', async () => {
  const lines = await runToEnd('aligned', 2);
  assert.equal(countOf(lines, 'slow'), 80);
  assert.equal(countOf(lines, 'fast'), 1_000);
  const furthestMs = Math.max(...lines.filter(({ split, before }) => split === 'fast' && before > 0).map(({ start }) => start));
  // Without alignment it would be at 80,000 when the slow one ends, at 4,000; words between subtasks take up to a second, or 20,000, and more on a busy machine.
  assert.ok(furthestMs < 70_000, `the fast split was read up to ${furthestMs} while the slow one was at 4000 or before`);
});
