import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { GeneratedValues } from '../jobs/generated-values.ts';
import { largeStateSizes } from '../jobs/large-state-records.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import { checkVersions } from './check-versions.ts';
import { phaseMeasurement, requireBoundedMemory, requireFlatMemory } from './phase-report.ts';
import { runWithState } from './state-run.ts';

const module = fileURLToPath(new URL('../jobs/large-state.ts', import.meta.url));
const mebibyte = 1024 * 1024;

/** Ten times the limit. The short form is 2.5 times a limit that is near the least that a TaskManager with RocksDB needs. */
const full = { stateMebibytes: 5120, memoryMebibytes: 512, steadySeconds: 180 };
const quick = { stateMebibytes: 1024, memoryMebibytes: 400, steadySeconds: 30 };

/**
 * State larger than memory: values of 100 to 1000 bytes, many times the TaskManager's memory together, then random reads, every second one with an
 * update. Resident memory must stay below the limit, and every value that is read must be the one that was written.
 */
export async function measureLargeState({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const { stateMebibytes, memoryMebibytes, steadySeconds } = isQuick ? quick : full;
  const keyCount = keyCountOf(stateMebibytes * mebibyte);
  const name = 'large-state';
  announce(`${name}: ${stateMebibytes} MiB in ${keyCount} values under ${memoryMebibytes} MiB …`);
  const run = await runWithState({ name, module, keyCount, memoryMebibytes, steadySeconds, signal });
  const measurement = {
    ...{ stateMebibytes, memoryMebibytes, keyCount },
    ...phaseMeasurement('populate', run.populate),
    ...phaseMeasurement('steady', run.steady),
    // Only now: counting again takes a whole core for a while.
    resultsChecked: checkVersions(run.samples, keyCount),
  };
  requireBoundedMemory([...run.populate.memory, ...run.steady.memory], memoryMebibytes);
  requireFlatMemory(run.steady.memory, memoryMebibytes);
  return measurement;
}

/** So many keys from 0 on have values of this size together. */
function keyCountOf(sizeBytes: number): number {
  const values = new GeneratedValues(largeStateSizes);
  let keyCount = 0;
  for (let sum = 0; sum < sizeBytes; keyCount++) {
    sum += values.sizeBytesOf(keyCount);
  }
  return keyCount;
}
