// The operator as it is, under faults, over as many seeds as a test run can afford; `npm run simulate:operator` takes more. That the oracle is awake is tested in
// planted-bugs.test.ts; decisions alone, without the API, walk in ../decide-walk.test.ts.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { runSimulation } from './run-simulation.ts';

const seedCount = 2_000;
/** Two processes use two cores. */
const parts = 2;

/** Beyond what no life can do without. */
const expectedToHappen = [
  ...['task Find', 'task Import', 'task Dispose', 'task Drill', 'command Savepoint', 'command Release', 'command Cancel'],
  ...['lineage purged', 'namespace gone', 'event DataOrphaned', 'event JobFinished', 'event RolloutCompleted'],
];

/** `seen: task Find 12, task Import 3`. */
function seenIn(lines: readonly string[]): readonly string[] {
  const counted = lines.find((line) => line.startsWith('seen: '))?.slice('seen: '.length) ?? '';
  return counted.split(', ').map((each) => each.slice(0, each.lastIndexOf(' ')));
}

test(`the operator breaks no promise in ${seedCount} simulated lives of jobs, and faults of every sort happen`, async (t) => {
  const perPart = seedCount / parts;
  const runs = await Promise.all(
    Array.from({ length: parts }, (_, part) => runSimulation('--seeds', `${perPart}`, '--first-seed', `${1 + part * perPart}`)),
  );
  for (const { code, lines } of runs) {
    assert.equal(code, 0, lines.join('\n'));
    const [, faults, requests] =
      lines.at(-1)?.match(/^\d+ seeds .* (\d+) faults, .* (\d+) requests, 0 seeds with violations$/) ?? [];
    // A quiet simulator would pass; these are far below what the seeds give.
    assert.ok(Number(faults) > 5 * perPart, `${lines.at(-1)}`);
    assert.ok(Number(requests) > 100 * perPart, `${lines.at(-1)}`);
    t.diagnostic(`${lines.at(-1)}`);
  }
  const seen = new Set(runs.flatMap(({ lines }) => seenIn(lines)));
  assert.deepEqual(
    expectedToHappen.filter((what) => !seen.has(what)),
    [],
    'what never happens is not shown to work',
  );
});

/** Quiet lives; what they have to have in them is below. The longer one is, the fewer of its steps are tried. */
const crashedLives = [
  { seed: 3, every: 10 },
  { seed: 6, every: 30 },
  { seed: 45, every: 60 },
  { seed: 27, every: 100 },
  { seed: 34, every: 30 },
  { seed: 88, every: 20 },
];
const expectedBesideCrashes = [
  ...['command Stop', 'command Cancel', 'command Savepoint', 'command Release', 'task Drill'],
  ...['event SavepointDeleting', 'namespace gone'],
];

test('an operator that dies before any one of its steps is continued by the next', async (t) => {
  const seen = new Set<string>();
  for (const { seed, every } of crashedLives) {
    const { code, lines } = await runSimulation('--crashes', `${seed}`, '--every', `${every}`);
    assert.equal(code, 0, lines.join('\n'));
    for (const what of seenIn(lines)) {
      seen.add(what);
    }
    t.diagnostic(`${lines.at(-1)}`);
  }
  assert.deepEqual(
    expectedBesideCrashes.filter((what) => !seen.has(what)),
    [],
    'these lives do not show it',
  );
});

/** Seeds that once showed a bug are kept in a file, with what they showed; a new one is added when it is found. */
const failingSeeds = JSON.parse(await readFile(new URL('failing-seeds.json', import.meta.url), 'utf8')) as readonly {
  readonly seed: number;
  readonly showed: string;
}[];

for (const { seed, showed } of failingSeeds) {
  test(`seed ${seed} breaks no promise any more: ${showed}`, async () => {
    const { code, lines } = await runSimulation('--seeds', '1', '--first-seed', `${seed}`);
    assert.equal(code, 0, lines.join('\n'));
  });
}

test('a seed gives the same run every time, event by event', async () => {
  const [first, second] = await Promise.all(
    [1, 2].map(async () => (await runSimulation('--seeds', '1', '--first-seed', '3', '--trace')).lines.slice(0, -1)),
  );
  assert.ok((first?.length ?? 0) > 50);
  assert.deepEqual(second, first);
});
