/**
 * Benchmarks: `npm run bench -- CASE [--repetitions N]`. Each prints what it does while it runs, and as its last line JSON with medians.
 * Numbers are only comparable on one machine; the load average stands beside them.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { measureManySubtasks } from './many-subtasks.ts';
import { measureStart } from './start.ts';

export type Measurement = Readonly<Record<string, number>>;

const cases: Readonly<Record<string, () => Promise<Measurement>>> = {
  start: measureStart,
  'many-subtasks': measureManySubtasks,
};

const { positionals, values } = parseArgs({ allowPositionals: true, options: { repetitions: { type: 'string', default: '3' } } });
const [name = ''] = positionals;
const measure = cases[name];
const repetitions = Number(values.repetitions);
if (measure === undefined || !Number.isInteger(repetitions) || repetitions < 1) {
  console.error(`npm run bench -- CASE [--repetitions N]\nCASE is one of: ${Object.keys(cases).join(', ')}`);
  process.exit(2);
}

const runs: Measurement[] = [];
for (let repetition = 1; repetition <= repetitions; repetition += 1) {
  const result = await measure();
  runs.push(result);
  console.log(`${name} ${repetition}/${repetitions}: ${JSON.stringify(result)}`);
}
const medians = Object.fromEntries(
  Object.keys(runs[0] ?? {}).map((field) => [field, median(runs.map((run) => run[field] ?? Number.NaN))]),
);
console.log(JSON.stringify({ case: name, repetitions, loadAverage: loadavg()[0], medians }));

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
