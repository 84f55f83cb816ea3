import assert from 'node:assert/strict';
import test from 'node:test';
import type { ThroughputMeasurement } from './measure-throughput.ts';
import type { CaseResult, ThroughputOptions } from './run-throughput.ts';
import { throughputJson, throughputTable } from './throughput-report.ts';

const options: ThroughputOptions = {
  ...{ caseIds: undefined, vsFlink: true, isQuick: false, repetitions: 3, windowSeconds: 20, profileDirectory: undefined },
  signal: AbortSignal.abort(),
};

function measurement(overrides: Partial<ThroughputMeasurement> = {}): ThroughputMeasurement {
  return {
    ...{
      recordsPerSecond: 1000,
      recordsPerCpuSecond: 1000,
      taskManagerCores: 1,
      jobManagerCores: 0,
      otherCores: 0,
      loadAverage: 1,
    },
    ...{ residentMebibytes: 200, peakResidentMebibytes: 200, checkpointsCompleted: 4, checkpointsFailed: 0, checkpointMs: 50 },
    ...{ checkpointWrittenMebibytes: 1, stateMebibytes: 1, populateSeconds: 0, resultsChecked: 10 },
    ...overrides,
  };
}

function perCpuSecond(...values: number[]): ThroughputMeasurement[] {
  return values.map((recordsPerCpuSecond) => measurement({ recordsPerCpuSecond }));
}

const compared: CaseResult = { id: 'a', runs: { ours: perCpuSecond(100, 300, 200), flink: perCpuSecond(50, 100) }, failures: [] };

test('a ratio is of medians, and only where both engines measured all they should', () => {
  const failed: CaseResult = {
    id: 'b',
    runs: { ours: perCpuSecond(100), flink: perCpuSecond(100) },
    failures: [{ engine: 'flink', message: 'no disk' }],
  };
  const alone: CaseResult = { id: 'c', runs: { ours: perCpuSecond(100), flink: [] }, failures: [] };
  const json = JSON.parse(throughputJson([compared, failed, alone], options)) as {
    readonly ratios: object;
    readonly failures: object[];
  };
  assert.deepEqual(json.ratios, { a: 2.667 });
  assert.deepEqual(json.failures, [{ case: 'b', engine: 'flink', message: 'no disk' }]);
});

test('the table has a row per engine, the ratio, and says what cannot be trusted', () => {
  const table = throughputTable(
    [
      compared,
      { id: 'd', runs: { ours: [measurement({ checkpointsCompleted: 0, checkpointMs: Number.NaN })], flink: [] }, failures: [] },
    ],
    options,
  );
  assert.match(table, /^a +ours +3 +1\.0 k +200 /m);
  assert.match(table, /^a +flink +2 +1\.0 k +75 /m);
  assert.match(table, /^a: 2\.67×$/m);
  assert.match(table, /Warning: d on ours: no checkpoint was completed in 1 of 1 windows/);
});
