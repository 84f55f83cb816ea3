import { parseArgs } from 'node:util';
import { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import { Random } from '../simulation/random.ts';
import { type ContestantName, contestantNames, createContestants, whyMissing } from '../state-programs/contestants.ts';
import { randomStream } from './random-stream.ts';
import { runStream } from './run-stream.ts';

/**
 * `npm run window-streams -- --seeds N --first-seed K [--backend hashmap|rocksdb]`: one random stream per seed through windows of a random kind, compared
 * with a plain model. A failure is printed with its seed, its operator and its steps, and ends the run; the last line is a summary.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    'first-seed': { type: 'string', default: '1' },
    backend: { type: 'string', default: 'hashmap' },
  },
});
const seedCount = Number(values.seeds);
const firstSeed = Number(values['first-seed']);
const name = contestantNames.find((known) => known === values.backend);
const missing = name === undefined ? undefined : whyMissing(name);
if (
  !(Number.isSafeInteger(seedCount) && seedCount >= 1 && Number.isSafeInteger(firstSeed)) ||
  name === undefined ||
  missing !== undefined
) {
  console.error(missing ?? 'usage: --seeds N --first-seed K [--backend hashmap|rocksdb]   (N from 1)');
  process.exit(2);
}
await runAll(name);

async function runAll(backend: ContestantName): Promise<void> {
  const directories = await StateDirectories.create({ isFast: true });
  const contestants = createContestants([backend], await directories.createWorkingDirectory());
  const startedMs = performance.now();
  try {
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
      const random = new Random(seed);
      const stream = randomStream(random);
      for (const { createBackend } of contestants(seed)) {
        await runStream(stream, { createBackend, isCounted: backend === 'hashmap', directories, random }).catch(
          (error: unknown) => {
            const { steps, ...operator } = stream;
            console.log(`seed ${seed}: ${JSON.stringify(operator)}\n${steps.map((step) => JSON.stringify(step)).join('\n')}`);
            throw error;
          },
        );
      }
    }
  } finally {
    await directories.remove();
  }
  console.log(
    `${seedCount} streams from seed ${firstSeed} on ${backend} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s: 0 failed`,
  );
}
