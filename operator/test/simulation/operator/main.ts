import { parseArgs } from 'node:util';
import { plantedBugs } from './planted-bugs.ts';
import { simulate } from './simulation.ts';

const usage = `usage: npm run simulate:operator -- --seeds N --first-seed K [--trace]   (N from 1, K from 0, whole numbers)
       npm run simulate:operator -- --planted-bug NAME                    (is the mistake noticed, and by which seed?)
       npm run simulate:operator -- --crashes K [--every N]               (seed K without other faults, the operator dying before each of its steps in turn)`;
const progressIntervalMs = 5_000;

/** One simulation per seed; the last line is a summary. */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    'first-seed': { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
    'planted-bug': { type: 'string' },
    crashes: { type: 'string' },
    every: { type: 'string', default: '1' },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const { 'planted-bug': bugName, crashes, every, seeds, 'first-seed': firstSeed, trace } = values;
  if (bugName !== undefined) {
    return await findPlanted(bugName);
  }
  const numbers = crashes === undefined ? [Number(seeds), Number(firstSeed)] : [Number(every), Number(crashes)];
  const [count = 0, from = 0] = numbers;
  if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(from) || from < 0) {
    console.error(usage);
    return 2;
  }
  return crashes === undefined ? await simulateSeeds(from, count, trace) : await crashEverywhere(from, count, trace);
}

async function simulateSeeds(firstSeed: number, seedCount: number, trace: boolean): Promise<number> {
  const startedMs = performance.now();
  let lastProgressMs = startedMs;
  const total = { virtualMs: 0, faultCount: 0, stepCount: 0, requestCount: 0, violated: 0, seen: new Map<string, number>() };
  for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
    const result = await simulate(seed, { trace });
    total.virtualMs += result.virtualMs;
    total.faultCount += result.faultCount;
    total.stepCount += result.stepCount;
    total.requestCount += result.requestCount;
    for (const [what, count] of result.seen) {
      total.seen.set(what, (total.seen.get(what) ?? 0) + count);
    }
    total.violated += result.violations.length > 0 ? 1 : 0;
    if (trace) {
      console.log(result.trace.join('\n'));
    }
    for (const violation of result.violations) {
      console.log(`seed ${seed}: ${violation}`);
    }
    if (result.violations.length > 0) {
      console.log(`replay: npm run simulate:operator -- --seeds 1 --first-seed ${seed} --trace`);
    }
    if (performance.now() - lastProgressMs > progressIntervalMs) {
      lastProgressMs = performance.now();
      console.log(`${seed - firstSeed + 1} of ${seedCount} seeds, ${total.faultCount} faults, ${total.violated} with violations`);
    }
  }
  const elapsedS = (performance.now() - startedMs) / 1000;
  console.log(seenText(total.seen));
  console.log(
    `${seedCount} seeds from ${firstSeed} in ${elapsedS.toFixed(1)} s (${(seedCount / elapsedS).toFixed(1)} seeds/s): ` +
      `${(total.virtualMs / 3_600_000).toFixed(1)} hours of virtual time, ${total.faultCount} faults, ${total.stepCount} steps of the operator, ` +
      `${total.requestCount} requests, ${total.violated} seeds with violations`,
  );
  return total.violated > 0 ? 1 : 0;
}

function seenText(seen: ReadonlyMap<string, number>): string {
  const sorted = [...seen].sort(([a], [b]) => (a < b ? -1 : 1));
  return `seen: ${sorted.map(([what, count]) => `${what} ${count}`).join(', ')}`;
}

/** The same quiet life again and again, and each time the operator dies one step later. */
async function crashEverywhere(seed: number, every: number, trace: boolean): Promise<number> {
  const startedMs = performance.now();
  const { stepCount, seen } = await simulate(seed, { crashAtStep: 0 });
  console.log(seenText(seen));
  let [crashCount, violated] = [0, 0];
  for (let step = 1; step <= stepCount; step += every) {
    const { violations, ...result } = await simulate(seed, { crashAtStep: step, trace });
    crashCount += 1;
    violated += violations.length > 0 ? 1 : 0;
    for (const violation of violations) {
      console.log(`${result.trace.join('\n')}\nseed ${seed}, crash before step ${step}: ${violation}`);
    }
  }
  const elapsedS = (performance.now() - startedMs) / 1000;
  console.log(
    `seed ${seed}: ${crashCount} crashes before ${stepCount} steps in ${elapsedS.toFixed(1)} s, ${violated} with violations`,
  );
  return violated > 0 ? 1 : 0;
}

/** 0 when a seed shows it in the way that the list says. */
async function findPlanted(name: string): Promise<number> {
  const bug = plantedBugs[name];
  if (bug === undefined) {
    const known = Object.keys(plantedBugs).map((it) => `  ${it}`);
    console.error(`no mistake called ${name} is planted; there are:\n${known.join('\n')}`);
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
