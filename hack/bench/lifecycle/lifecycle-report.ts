import { cpus, loadavg } from 'node:os';
import { median } from '../median.ts';
import type { EngineResult, LifecycleOptions } from './run-lifecycle.ts';

/** Medians, and how many times as long Flink takes; a table for people. */
export function lifecycleTable(results: readonly EngineResult[]): string {
  const ratios = ratiosOf(results);
  const rows = stepsOf(results).map((step) => [
    step,
    ...results.flatMap(({ steps }) => {
      const runs = steps.get(step);
      return runs === undefined ? ['-', '-', '-'] : [median(runs), Math.min(...runs), Math.max(...runs)].map(rounded);
    }),
    ratios[step]?.toFixed(2) ?? '-',
  ]);
  const engines = results.flatMap(({ engine }) => [`${engine} ms`, 'lowest', 'highest']);
  const failures = results.flatMap(({ engine, failure }) => (failure === undefined ? [] : [`FAILED on ${engine}: ${failure}`]));
  return [...aligned([['step', ...engines, 'flink/ours'], ...rows]), ...failures].join('\n');
}

/** The last line for programs. */
export function lifecycleJson(results: readonly EngineResult[], { repetitions, isQuick, keyCount }: LifecycleOptions): string {
  return JSON.stringify({
    ratios: ratiosOf(results),
    ...Object.fromEntries(
      results.map(({ engine, steps, resultsChecked, loadAverage, failure }) => [
        engine,
        { milliseconds: Object.fromEntries(steps), resultsChecked, loadAverage, failure: failure ?? null },
      ]),
    ),
    ...{ repetitions, isQuick, ...(keyCount === undefined ? {} : { keyCount }) },
    machine: { cores: cpus().length, model: cpus()[0]?.model, loadAverage: loadavg()[0], node: process.version },
  });
}

/** Medians: Flink's time by ours, so that more is better for us. None of an engine that failed: its results were not checked. */
function ratiosOf(results: readonly EngineResult[]): Readonly<Record<string, number>> {
  const ours = results.find(({ engine }) => engine === 'ours');
  const flink = results.find(({ engine }) => engine === 'flink');
  if (ours === undefined || flink === undefined || ours.failure !== undefined || flink.failure !== undefined) {
    return {};
  }
  const ratios: Record<string, number> = {};
  for (const [step, runs] of flink.steps) {
    const compared = ours.steps.get(step) ?? ours.steps.get(untuned(step));
    if (compared !== undefined) {
      ratios[step] = median(runs) / median(compared);
    }
  }
  return ratios;
}

/** What only Flink is tuned for is compared with ours as it is. */
function untuned(step: string): string {
  return step.replace(/, tuned$/, '');
}

function stepsOf(results: readonly EngineResult[]): readonly string[] {
  return [...new Set(results.flatMap(({ steps }) => [...steps.keys()]))];
}

function rounded(milliseconds: number): string {
  return milliseconds.toFixed(0);
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
  );
}
