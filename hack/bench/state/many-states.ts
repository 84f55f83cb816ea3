import { fileURLToPath } from 'node:url';
import { announce } from '../announce.ts';
import { KeySequence } from '../jobs/key-sequence.ts';
import { accessOf, manyStatesCount } from '../jobs/many-states-records.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';
import type { Sample } from '../throughput/progress.ts';
import { phaseMeasurement, requireBoundedMemory, requireFlatMemory } from './phase-report.ts';
import { runWithState } from './state-run.ts';

const module = fileURLToPath(new URL('../jobs/many-states.ts', import.meta.url));

const full = { keyCount: 1_000_000, memoryMebibytes: 512, steadySeconds: 90 };
const quick = { keyCount: 100_000, memoryMebibytes: 400, steadySeconds: 20 };

/** Column families have memtables and files of their own: there must not be more of them for more states. */
const columnFamilyCountMax = 5;
/** What compaction leaves of a few gigabytes, and links of one checkpoint. */
const fileCountMax = 500;

/** One operator with 30 value states of 64 bytes each and so many keys: memory, files and checkpoints stay bounded. */
export async function measureManyStates({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const { keyCount, memoryMebibytes, steadySeconds } = isQuick ? quick : full;
  const name = 'many-states';
  announce(`${name}: ${keyCount} keys with ${manyStatesCount} states under ${memoryMebibytes} MiB …`);
  const run = await runWithState({ name, module, keyCount, memoryMebibytes, steadySeconds, signal });
  const measurement = {
    ...{ keyCount, stateCount: manyStatesCount, memoryMebibytes },
    ...phaseMeasurement('populate', run.populate),
    ...phaseMeasurement('steady', run.steady),
    resultsChecked: checkSums(run.samples, keyCount),
  };
  requireBoundedMemory([...run.populate.memory, ...run.steady.memory], memoryMebibytes);
  requireFlatMemory(run.steady.memory, memoryMebibytes);
  for (const { columnFamilies, files } of [run.populate.files, run.steady.files]) {
    if (columnFamilies > columnFamilyCountMax || files > fileCountMax) {
      throw new Error(`${columnFamilies} column families and ${files} files for ${manyStatesCount} states of one operator`);
    }
  }
  return measurement;
}

/** Counts again how often each state was touched, and compares every sample. Gives how many samples were compared. */
function checkSums(samples: readonly Sample[], keyCount: number): number {
  if (samples.length === 0) {
    throw new Error('the job gave no results that could be checked');
  }
  const keys = new KeySequence({ seed: 1, keyCount });
  const counts = new Uint16Array(keyCount * manyStatesCount);
  const outcomeOf = (recordIndex: number): string => {
    const { key, first, count } = accessOf(recordIndex, keys, keyCount);
    let sum = 0;
    for (let offset = 0; offset < count; offset++) {
      const place = key * manyStatesCount + ((first + offset) % manyStatesCount);
      const after = (counts[place] ?? 0) + 1;
      counts[place] = after;
      sum += after;
    }
    return `${key} ${sum}`;
  };
  let next = 0;
  for (const { index, values } of samples) {
    for (; next < index; next++) {
      outcomeOf(next);
    }
    const expected = outcomeOf(next++);
    if (values.join(' ') !== expected) {
      throw new Error(`wrong results: record ${index} must be '${expected}', the job gave '${values.join(' ')}'`);
    }
  }
  return samples.length;
}
