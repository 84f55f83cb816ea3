import { cpus, loadavg } from 'node:os';
import { median } from '../median.ts';
import type { Engine } from './engine.ts';
import type { ThroughputMeasurement } from './measure-throughput.ts';
import type { CaseResult, ThroughputOptions } from './run-throughput.ts';

type Medians = { readonly [Field in keyof ThroughputMeasurement]: number };

interface Column {
  readonly title: string;
  readonly text: (medians: Medians, runs: readonly ThroughputMeasurement[]) => string;
}

const columns: readonly Column[] = [
  { title: 'records/s', text: ({ recordsPerSecond }) => rounded(recordsPerSecond) },
  { title: 'per CPU s', text: ({ recordsPerCpuSecond }) => rounded(recordsPerCpuSecond) },
  // How far apart the runs are says how much the machine was disturbed.
  { title: 'lowest', text: (_, runs) => rounded(Math.min(...perCpuSecond(runs))) },
  { title: 'highest', text: (_, runs) => rounded(Math.max(...perCpuSecond(runs))) },
  { title: 'cores', text: ({ taskManagerCores }) => taskManagerCores.toFixed(2) },
  { title: 'others', text: ({ otherCores }) => otherCores.toFixed(2) },
  { title: 'load', text: ({ loadAverage }) => loadAverage.toFixed(1) },
  { title: 'RSS MiB', text: ({ residentMebibytes }) => residentMebibytes.toFixed(0) },
  { title: 'checkpoints', text: ({ checkpointsCompleted }) => checkpointsCompleted.toFixed(0) },
  { title: 'ms', text: ({ checkpointMs }) => orDash(checkpointMs, 0) },
  { title: 'written MiB', text: ({ checkpointWrittenMebibytes }) => orDash(checkpointWrittenMebibytes, 2) },
  { title: 'state MiB', text: ({ stateMebibytes }) => orDash(stateMebibytes, 2) },
  { title: 'populate s', text: ({ populateSeconds }) => populateSeconds.toFixed(1) },
];

/** For people: a row per case and engine with the medians of its runs, what was divided, and what went wrong. */
export function throughputTable(results: readonly CaseResult[], options: ThroughputOptions): string {
  const rows = results.flatMap((result) => engineRows(result));
  const header = ['case', 'engine', 'runs', ...columns.map(({ title }) => title)];
  const lines = rows.length === 0 ? ['Nothing was measured.'] : aligned([header, ...rows]);
  const ratios = Object.entries(ratiosOf(results)).map(([id, ratio]) => `${id}: ${ratio.toFixed(2)}×`);
  const failures = results.flatMap(({ id, failures }) =>
    failures.map(({ engine, message }) => `FAILED ${id} on ${engine}: ${message}`),
  );
  const warnings = results.flatMap(warningsOf);
  return [
    '',
    ...lines,
    '',
    `Medians, and the lowest and highest per CPU s; windows of ${options.windowSeconds} s; cores, others: processor time per second of the TaskManager and of unrelated processes.`,
    ...(ratios.length === 0 ? [] : ['', 'FlinkJob against Flink, records per CPU second of the TaskManager process:', ...ratios]),
    ...(warnings.length === 0 ? [] : ['', ...warnings]),
    ...(failures.length === 0 ? [] : ['', ...failures]),
    '',
  ].join('\n');
}

/** One line for programs. `ratios` has a field for every case that both engines have measured. */
export function throughputJson(results: readonly CaseResult[], options: ThroughputOptions): string {
  const { repetitions, windowSeconds } = options;
  return JSON.stringify({
    ratios: Object.fromEntries(Object.entries(ratiosOf(results)).map(([id, ratio]) => [id, Math.round(ratio * 1000) / 1000])),
    cases: Object.fromEntries(results.map(({ id, runs }) => [id, { ours: summaryOf(runs.ours), flink: summaryOf(runs.flink) }])),
    failures: results.flatMap(({ id, failures }) => failures.map((failure) => ({ case: id, ...failure }))),
    ...{ repetitions, windowSeconds },
    machine: { cores: cpus().length, model: cpus()[0]?.model, loadAverage: loadavg()[0], node: process.version },
  });
}

/** Ours against Flink's: medians of records per second of the TaskManager's processor time. */
function ratiosOf(results: readonly CaseResult[]): Readonly<Record<string, number>> {
  const ratios: Record<string, number> = {};
  for (const { id, runs, failures } of results) {
    const ours = mediansOf(runs.ours);
    const flink = mediansOf(runs.flink);
    if (ours !== undefined && flink !== undefined && failures.length === 0) {
      ratios[id] = ours.recordsPerCpuSecond / flink.recordsPerCpuSecond;
    }
  }
  return ratios;
}

function summaryOf(runs: readonly ThroughputMeasurement[]): object | null {
  const medians = mediansOf(runs);
  return medians === undefined ? null : { ...medians, recordsPerCpuSecondOfRuns: perCpuSecond(runs) };
}

function mediansOf(runs: readonly ThroughputMeasurement[]): Medians | undefined {
  const [first] = runs;
  if (first === undefined) {
    return undefined;
  }
  const fields = Object.keys(first) as (keyof ThroughputMeasurement)[];
  return Object.fromEntries(fields.map((field) => [field, median(runs.map((run) => run[field]))])) as unknown as Medians;
}

function engineRows({ id, runs }: CaseResult): string[][] {
  const engines = ['ours', 'flink'] as const satisfies readonly Engine['id'][];
  return engines.flatMap((engine) => {
    const medians = mediansOf(runs[engine]);
    return medians === undefined
      ? []
      : [[id, engine, `${runs[engine].length}`, ...columns.map(({ text }) => text(medians, runs[engine]))]];
  });
}

function warningsOf({ id, runs }: CaseResult): string[] {
  return Object.entries(runs).flatMap(([engine, measured]) => {
    const without = measured.filter(({ checkpointsCompleted }) => checkpointsCompleted === 0).length;
    const failed = measured.reduce((sum, { checkpointsFailed }) => sum + checkpointsFailed, 0);
    return [
      ...(without > 0
        ? [`Warning: ${id} on ${engine}: no checkpoint was completed in ${without} of ${measured.length} windows.`]
        : []),
      ...(failed > 0 ? [`Warning: ${id} on ${engine}: ${failed} checkpoints failed in the windows.`] : []),
    ];
  });
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  '),
  );
}

function perCpuSecond(runs: readonly ThroughputMeasurement[]): readonly number[] {
  return runs.map(({ recordsPerCpuSecond }) => recordsPerCpuSecond);
}

function rounded(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} M` : value >= 1000 ? `${(value / 1000).toFixed(1)} k` : value.toFixed(0);
}

function orDash(value: number, digits: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(digits);
}
