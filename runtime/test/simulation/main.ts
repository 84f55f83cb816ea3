import { parseArgs } from 'node:util';
import { simulate } from './simulation.ts';

/** `npm run simulate -- --seeds N --first-seed K [--trace]`: one simulation per seed; the last line is a summary. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    'first-seed': { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});
const seedCount = Number(values.seeds);
const firstSeed = Number(values['first-seed']);
if (!Number.isSafeInteger(seedCount) || seedCount < 1 || !Number.isSafeInteger(firstSeed) || firstSeed < 0) {
  console.error('usage: npm run simulate -- --seeds N --first-seed K [--trace]   (N from 1, K from 0, whole numbers)');
  process.exit(2);
}

const progressIntervalMs = 2_000;
const startedMs = performance.now();
let lastProgressMs = startedMs;
let virtualMs = 0;
let faultCount = 0;
let entryCount = 0;
let epochCount = 0;
let violationCount = 0;
for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
  const result = await simulate(seed, { trace: values.trace });
  virtualMs += result.virtualMs;
  faultCount += result.faultCount;
  entryCount += result.entryCount;
  epochCount += result.epochCount;
  violationCount += result.violations.length > 0 ? 1 : 0;
  if (values.trace) {
    console.log(result.trace.join('\n'));
  }
  for (const violation of result.violations) {
    console.log(`seed ${seed}: ${violation}`);
  }
  if (result.violations.length > 0) {
    console.log(`replay: npm run simulate -- --seeds 1 --first-seed ${seed} --trace`);
  }
  if (performance.now() - lastProgressMs > progressIntervalMs) {
    lastProgressMs = performance.now();
    console.log(`${seed - firstSeed + 1} of ${seedCount} seeds, ${faultCount} faults, ${violationCount} with violations`);
  }
}
const elapsedS = (performance.now() - startedMs) / 1000;
console.log(
  `${seedCount} seeds from ${firstSeed} in ${elapsedS.toFixed(1)} s: ${(virtualMs / 3_600_000).toFixed(1)} hours of virtual time, ` +
    `${faultCount} faults, ${epochCount} epochs, ${entryCount} lineage entries, ${violationCount} seeds with violations`,
);
process.exitCode = violationCount > 0 ? 1 : 0;
