/** Random programs on every backend and the model, in several processes; `main.ts` runs more of them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import { createHashmapStateBackendFactory } from '../../src/state-backend/hashmap/keyed-state-backend.ts';
import { contestantNames, whyMissing } from './contestants.ts';
import { plantedBugs } from './planted-bugs.ts';
import { randomProgram } from './random-program.ts';
import { runStateProgram } from './run-program.ts';
import { StateProgramFailure } from './state-program-failure.ts';

const programCount = 1_000;
/** Opening databases is mostly waiting, so there are more of them than processors. */
const processCount = 4;
const seedsEach = programCount / processCount;

const missing = contestantNames.flatMap((name) => whyMissing(name) ?? []).join(', ');
const names = contestantNames.filter((name) => whyMissing(name) === undefined);

test(`${programCount} random programs give on ${names.join(' and ')} what they give on the model`, () => runPrograms(names));

if (missing !== '') {
  test('random programs on all backends', { skip: missing }, () => runPrograms(contestantNames));
}

for (const { name, plant } of plantedBugs) {
  test(`random programs find that ${name}`, async () => {
    const directories = await StateDirectories.create({ isFast: true });
    const createBackend = plant(createHashmapStateBackendFactory({ sizeBytesMax: 100_000_000 }));
    try {
      await assert.rejects(async () => {
        for (let seed = 1; seed <= 400; seed++) {
          await runStateProgram(randomProgram(seed), [{ name, createBackend }], directories);
        }
      }, StateProgramFailure);
    } finally {
      await directories.remove();
    }
  });
}

async function runPrograms(backends: readonly string[]): Promise<void> {
  const lines = await Promise.all(Array.from({ length: processCount }, (_, place) => runMain(backends, 1 + place * seedsEach)));
  for (const line of lines) {
    assert.match(line, new RegExp(`^${seedsEach} programs .* 0 failed$`, 'u'));
  }
}

async function runMain(backends: readonly string[], firstSeed: number): Promise<string> {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const args = ['--seeds', `${seedsEach}`, '--first-seed', `${firstSeed}`, '--backends', backends.join(',')];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...args]);
    return stdout.trimEnd().split('\n').at(-1) ?? '';
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`programs from seed ${firstSeed} failed:\n${stdout ?? ''}${stderr ?? ''}`, { cause: error });
  }
}
