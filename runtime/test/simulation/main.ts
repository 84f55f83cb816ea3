import { parseArgs } from 'node:util';
import { furtherBugs, type PlantedBug, plantedBugs } from './planted-bugs.ts';
import { simulate } from './simulation.ts';

const usage = `usage: npm run simulate -- --seeds N --first-seed K [--trace]   (N from 1, K from 0, whole numbers)
       npm run simulate -- --planted-bug NAME                    (is the mistake noticed, and by which seed?)`;
const progressIntervalMs = 2_000;

/** One simulation per seed; the last line is a summary. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    'first-seed': { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    'planted-bug': { type: 'string' },
  },
});
const bugName = values['planted-bug'];
process.exitCode =
  bugName === undefined
    ? await simulateSeeds(Number(values['first-seed']), Number(values.seeds), values.trace)
    : await findPlanted(bugName);

async function simulateSeeds(firstSeed: number, seedCount: number, trace: boolean): Promise<number> {
  if (!Number.isSafeInteger(seedCount) || seedCount < 1 || !Number.isSafeInteger(firstSeed) || firstSeed < 0) {
    console.error(usage);
    return 2;
  }
  const startedMs = performance.now();
  let lastProgressMs = startedMs;
  let virtualMs = 0;
  let faultCount = 0;
  let entryCount = 0;
  let epochCount = 0;
  let violationCount = 0;
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const result = await simulate(seed, { trace });
    virtualMs += result.virtualMs;
    faultCount += result.faultCount;
    entryCount += result.entryCount;
    epochCount += result.epochCount;
    violationCount += result.violations.length > 0 ? 1 : 0;
    if (trace) {
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
  return violationCount > 0 ? 1 : 0;
}

/** 0 when a seed shows it in the way that the list says. */
async function findPlanted(name: string): Promise<number> {
  const bug: PlantedBug | { readonly state: 'NotYet' } | undefined = { ...plantedBugs, ...furtherBugs }[name];
  if (bug?.state !== 'Planted') {
    const names = Object.entries({ ...plantedBugs, ...furtherBugs }).flatMap(([known, { state }]) =>
      state === 'Planted' ? [known] : [],
    );
    console.error(`no mistake called ${name} is planted; there are:\n${names.map((known) => `  ${known}`).join('\n')}`);
    return 2;
  }
  for (let seed = 1; seed <= bug.seedCount; seed += 1) {
    const { violations } = await simulate(seed, bug);
    const violation = violations.find((text) => bug.violation.test(text));
    if (violation !== undefined) {
      console.log(`seed ${seed}: ${violation}`);
      return 0;
    }
  }
  console.log(`no violation like ${bug.violation} within ${bug.seedCount} seeds`);
  return 1;
}
