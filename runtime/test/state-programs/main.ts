import { inspect, parseArgs } from 'node:util';
import { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import { type ContestantName, contestantNames, createContestants, whyMissing } from './contestants.ts';
import { randomProgram } from './random-program.ts';
import { runStateProgram } from './run-program.ts';
import { StateProgramFailure } from './state-program-failure.ts';

/**
 * `npm run state-programs -- --seeds N --first-seed K [--backends hashmap,rocksdb] [--print]`: one random program of state operations per
 * seed, on all backends side by side and on a plain model. Failures are printed with their seed; the last line is a summary.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    'first-seed': { type: 'string', default: '1' },
    backends: { type: 'string' },
    print: { type: 'boolean', default: false },
  },
});
const seedCount = Number(values.seeds);
const firstSeed = Number(values['first-seed']);
const asked = values.backends?.split(',') ?? contestantNames.filter((name) => whyMissing(name) === undefined);
const names = asked.filter((name): name is ContestantName => contestantNames.some((known) => known === name));
const missing = names.flatMap((name) => whyMissing(name) ?? []);
if (
  !(Number.isSafeInteger(seedCount) && seedCount >= 1 && Number.isSafeInteger(firstSeed) && firstSeed >= 0) ||
  names.length !== asked.length ||
  missing.length > 0
) {
  console.error(
    missing.join(', ') || 'usage: --seeds N --first-seed K [--backends hashmap,rocksdb] [--print]   (N from 1, K from 0)',
  );
  process.exit(2);
}

const progressIntervalMs = 5_000;
const directories = await StateDirectories.create({ isFast: true });
const contestantsOf = createContestants(names, await directories.createWorkingDirectory());
const startedMs = performance.now();
let lastProgressMs = startedMs;
let failureCount = 0;
const totals = { operationCount: 0, firedTimerCount: 0, restoreCount: 0 };
try {
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
    await runSeed(seed);
    if (performance.now() - lastProgressMs > progressIntervalMs) {
      lastProgressMs = performance.now();
      console.log(`${seed - firstSeed + 1} of ${seedCount} programs, ${failureCount} failed`);
    }
  }
} finally {
  await directories.remove();
}
console.log(
  `${seedCount} programs from seed ${firstSeed} on ${names.join(' and ')} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: ` +
    `${totals.operationCount} operations, ${totals.firedTimerCount} timers, ${totals.restoreCount} restores, ${failureCount} failed`,
);
process.exitCode = failureCount > 0 ? 1 : 0;

async function runSeed(seed: number): Promise<void> {
  const program = randomProgram(seed);
  if (values.print) {
    console.log(inspect(program, { depth: 12, breakLength: 130 }));
  }
  try {
    const { operationCount, firedTimerCount, restoreCount } = await runStateProgram(program, contestantsOf(seed), directories);
    totals.operationCount += operationCount;
    totals.firedTimerCount += firedTimerCount;
    totals.restoreCount += restoreCount;
  } catch (error) {
    failureCount++;
    console.log(error instanceof StateProgramFailure ? error.message : `seed ${seed}: ${inspect(error)}`);
  }
}
