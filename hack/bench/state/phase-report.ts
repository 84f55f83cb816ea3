import { announce } from '../announce.ts';
import { median } from '../median.ts';
import { type MemorySample, summarizeMemory } from '../processes/memory-watch.ts';
import type { Measurement } from '../repeated-measurement.ts';
import type { Phase } from './state-run.ts';

const mebibyte = 1024 * 1024;
/** Of the limit: by so much memory may differ from quarter to quarter of a phase in which nothing grows. */
const growthShareMax = 0.05;

/** Numbers of a phase; their names begin with `prefix`. */
export function phaseMeasurement(prefix: string, phase: Phase): Measurement {
  const { seconds, records, processorSeconds, checkpoints, files } = phase;
  const { maxMebibytes, mebibytesPerMinute } = summarizeMemory(phase.memory);
  const completed = checkpoints.filter(({ state }) => state === 'Completed');
  const numbers: Record<string, number> = {
    seconds: Math.round(seconds),
    recordsPerSecond: Math.round(records / seconds),
    recordsPerCpuSecond: Math.round(records / processorSeconds),
    maxMebibytes,
    mebibytesPerMinute,
    rocksDbMebibytes: mebibytes(Math.max(...phase.nativeMemory.map(({ usedBytes }) => usedBytes))),
    memtableMebibytes: mebibytes(Math.max(...phase.nativeMemory.map(({ memtableBytes }) => memtableBytes))),
    checkpoints: completed.length,
    checkpointsFailed: checkpoints.filter(({ state }) => state === 'Failed').length,
    checkpointMs: Math.round(median(completed.map(({ durationMs }) => durationMs))),
    checkpointMsMax: Math.max(...completed.map(({ durationMs }) => durationMs)),
    checkpointMebibytes: mebibytes(median(completed.map(({ stateBytes }) => stateBytes))),
    files: files.files,
    columnFamilies: files.columnFamilies,
    diskMebibytes: mebibytes(files.sizeBytes),
  };
  announce(`  ${prefix}: ${JSON.stringify(numbers)}`);
  return Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [`${prefix}${name.charAt(0).toUpperCase()}${name.slice(1)}`, value]),
  );
}

/** Throws when memory was over the limit, or was still growing when the state was not. */
export function requireBoundedMemory(memory: readonly MemorySample[], limitMebibytes: number): void {
  const { maxMebibytes } = summarizeMemory(memory);
  if (maxMebibytes > limitMebibytes) {
    throw new Error(`the TaskManager had ${maxMebibytes} MiB resident; its limit is ${limitMebibytes} MiB`);
  }
}

/** Of a phase in which the state does not grow: not from its second quarter to its last. */
export function requireFlatMemory(memory: readonly MemorySample[], limitMebibytes: number): void {
  const quarter = Math.floor(memory.length / 4);
  const before = summarizeMemory(memory.slice(quarter, 2 * quarter)).medianMebibytes;
  const after = summarizeMemory(memory.slice(3 * quarter)).medianMebibytes;
  if (after - before > limitMebibytes * growthShareMax) {
    throw new Error(`the TaskManager's memory grows: ${before} MiB in the second quarter, ${after} MiB in the last`);
  }
}

function mebibytes(sizeBytes: number): number {
  return Math.round(sizeBytes / mebibyte);
}
