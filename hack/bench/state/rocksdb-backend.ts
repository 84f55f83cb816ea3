import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { planMemory } from '../../../runtime/src/core/memory/memory-budget.ts';
import { t } from '../../../runtime/src/core/types/t.ts';
import { createRocksDbStateBackendFactory } from '../../../runtime/src/state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding } from '../../../runtime/src/state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackend } from '../../../runtime/src/state-backend/state-backend.ts';
import { announce } from '../announce.ts';
import { KeySequence } from '../jobs/key-sequence.ts';
import { median } from '../median.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';

const keyCounts = { full: [1000, 100_000, 10_000_000], quick: [1000, 100_000] };
const batchKeyCount = 512;
const sliceRecordCount = 200 * 1024;
const sliceCount = 7;
/** Not measured: until the code is compiled, and until the cache has what it keeps. */
const warmUpSliceCount = 3;

const memory = planMemory({ totalSizeBytes: 2048 * 1024 * 1024, threadCount: 1, stateBackend: 'RocksDB' });

/**
 * A count per word, straight on the backend: prepare a batch, then read and set each key's count. Thousand records per CPU second, of the thread
 * that does it and of the whole process with its flushes and compactions. Every key is there before anything is measured.
 */
export async function measureRocksDbBackend({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const measurement: Record<string, number> = {};
  for (const keyCount of isQuick ? keyCounts.quick : keyCounts.full) {
    announce(`rocksdb-backend: ${keyCount} keys, load ${loadavg()[0]?.toFixed(1)} …`);
    const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
    try {
      Object.assign(measurement, await measureKeyCount(directory, keyCount, signal));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return measurement;
}

async function measureKeyCount(directory: string, keyCount: number, signal: AbortSignal): Promise<Measurement> {
  const backend = await openBackend(directory);
  const counting = new Counting(backend, new KeySequence({ seed: 1, keyCount }));
  await counting.count(Math.ceil(keyCount / batchKeyCount) * batchKeyCount, signal);
  for (let slice = 0; slice < warmUpSliceCount; slice++) {
    await counting.count(sliceRecordCount, signal);
  }
  const threadRates: number[] = [];
  const processRates: number[] = [];
  for (let slice = 0; slice < sliceCount; slice++) {
    const startedAt = process.cpuUsage();
    const threadMicros = await counting.count(sliceRecordCount, signal);
    const { user, system } = process.cpuUsage(startedAt);
    threadRates.push((sliceRecordCount * 1000) / threadMicros);
    processRates.push((sliceRecordCount * 1000) / (user + system));
  }
  announce(`  ${JSON.stringify(backend.counters())}`);
  await backend.close();
  return {
    [`threadKps${keyCount}`]: Math.round(median(threadRates)),
    [`processKps${keyCount}`]: Math.round(median(processRates)),
  };
}

async function openBackend(directory: string): Promise<KeyedStateBackend> {
  const { rocksDb } = memory;
  const create = createRocksDbStateBackendFactory({
    binding: loadNativeBinding(),
    memory: rocksDb && { capacityBytes: rocksDb.capacitySizeBytes, writeBufferBytes: rocksDb.writeBufferSizeBytes },
    allocateDirectory: async () => ({ path: directory, release: async () => undefined }),
  });
  const declaration = { name: 'count', stateType: 'value', valueType: t.int.descriptor } as const;
  return create(
    {
      ...{ name: 'bench-0', keyType: t.string, namespaceType: undefined, timers: false, maxParallelism: 128 },
      states: [{ declaration, valueType: t.int, mapKeyType: undefined, aggregate: undefined }],
      keyGroups: { first: 0, last: 127 },
      nowMs: Date.now,
      onRoom: () => {},
    },
    [],
  );
}

class Counting {
  readonly #backend: KeyedStateBackend;
  readonly #keys: KeySequence;
  #nextIndex = 0;

  constructor(backend: KeyedStateBackend, keys: KeySequence) {
    this.#backend = backend;
    this.#keys = keys;
  }

  /** Gives the processor time of this thread, in microseconds. Words are made outside of it: elsewhere they come from a page. */
  async count(recordCount: number, signal: AbortSignal): Promise<number> {
    let micros = 0;
    const count = this.#backend.value('count');
    for (let done = 0; done < recordCount; done += batchKeyCount) {
      signal.throwIfAborted();
      const words = this.#nextWords();
      const startedAt = process.threadCpuUsage();
      this.#backend.prepareBatch(words);
      for (let index = 0; index < words.length; index++) {
        this.#backend.selectKey(index);
        const before = count.get() as number | undefined;
        count.set(before === undefined ? 1 : before + 1);
      }
      const { user, system } = process.threadCpuUsage(startedAt);
      micros += user + system;
      await yieldToEventLoop();
    }
    return micros;
  }

  /** Each as text of its own, as a reader of pages makes it. */
  #nextWords(): readonly string[] {
    return Array.from({ length: batchKeyCount }, () => {
      const digits = String(this.#keys.keyAt(this.#nextIndex++)).padStart(8, '0');
      return Buffer.from(`word-${digits}`, 'latin1').toString('latin1');
    });
  }
}
