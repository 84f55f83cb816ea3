import { link, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import type { SnapshotFormat, StateHandle } from '../../../runtime/src/core/checkpoint/manifest.ts';
import { keyGroupOf, keyGroupRangeOf } from '../../../runtime/src/core/key-groups/key-group.ts';
import { planMemory } from '../../../runtime/src/core/memory/memory-budget.ts';
import { BinaryWriter } from '../../../runtime/src/core/types/binary-writer.ts';
import { t } from '../../../runtime/src/core/types/t.ts';
import { createRocksDbStateBackendFactory } from '../../../runtime/src/state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding } from '../../../runtime/src/state-backend/rocksdb/native-loader.ts';
import type {
  KeyedStateBackend,
  KeyedStateBackendFactory,
  RestoredPart,
  SnapshotTarget,
} from '../../../runtime/src/state-backend/state-backend.ts';
import { announce } from '../announce.ts';
import { GeneratedValues } from '../jobs/generated-values.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';

/** Every key is read after every change, so there are not ten million of them. */
const valueSizeBytes = 992;
/** With its key: what a key costs before compression. */
const entrySizeBytes = 1000;
const stateSizesMb = { full: 1200, quick: 60 };
const batchKeyCount = 1024;
const maxParallelism = 128;
const memory = planMemory({ totalSizeBytes: 2048 * 1024 * 1024, threadCount: 1, stateBackend: 'RocksDB' });

/**
 * Changes of parallelism with all files on the local disk, in one process: from the opening of all new subtasks to the first record that each could read, and
 * then every key compared with what was written. `…Uncompacted` begins with the checkpoint that follows another change at once, before the background
 * compaction of what lies outside; `…Canonical` with a savepoint of rows.
 */
export async function measureRescale({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const sizeMb = isQuick ? stateSizesMb.quick : stateSizesMb.full;
    return await new RescaleBenchmark(directory, Math.round((sizeMb * 1e6) / entrySizeBytes), signal).measure();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Subtasks = readonly KeyedStateBackend[];

class RescaleBenchmark {
  readonly #directory: string;
  readonly #keyCount: number;
  readonly #signal: AbortSignal;
  readonly #values = new GeneratedValues({ sizeBytesMin: valueSizeBytes, sizeBytesMax: valueSizeBytes });
  readonly #create: KeyedStateBackendFactory;
  readonly #results: Record<string, number> = {};
  #expected = '';
  #nextNumber = 0;

  constructor(directory: string, keyCount: number, signal: AbortSignal) {
    this.#directory = directory;
    this.#keyCount = keyCount;
    this.#signal = signal;
    const { rocksDb } = memory;
    this.#create = createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: rocksDb && { capacityBytes: rocksDb.capacitySizeBytes, writeBufferBytes: rocksDb.writeBufferSizeBytes },
      allocateDirectory: async (name) => {
        const path = join(directory, name);
        await mkdir(path);
        return { path, release: () => rm(path, { recursive: true, force: true }) };
      },
    });
  }

  async measure(): Promise<Measurement> {
    const one = await this.#open(1, []);
    await this.#populate(one);
    this.#expected = await this.#scan(one);
    const parts = await this.#checkpoint(one);
    const rows = await this.#checkpoint(one, 'Canonical');
    await this.#close(one);

    const two = await this.#case('1to2', 2, parts);
    await this.#change(two);
    const uncompacted = await this.#checkpoint(two);
    await whenCompacted(two);
    this.#results['backgroundCompactionMs'] = Math.round(
      Math.max(...two.map((backend) => backend.counters()['outsideCompactionMs'] ?? 0)),
    );
    const compacted = await this.#checkpoint(two);
    await this.#close(two);
    for (const [name, parallelism, from] of [
      ['2to1', 1, compacted],
      ['2to3', 3, compacted],
      ['2to1Uncompacted', 1, uncompacted],
      ['2to3Uncompacted', 3, uncompacted],
      ['1to2Canonical', 2, rows],
    ] as const) {
      await this.#close(await this.#case(name, parallelism, from));
    }
    return this.#results;
  }

  async #case(name: string, parallelism: number, parts: readonly RestoredPart[]): Promise<Subtasks> {
    const peak = new PeakResidentSize();
    const startedAtMs = performance.now();
    const subtasks = await this.#open(parallelism, parts);
    for (let index = 0; index < this.#keyCount; index += Math.ceil(this.#keyCount / 100)) {
      const key = keyAt(index);
      const backend = subtasks[subtaskOf(key, parallelism)] as KeyedStateBackend;
      backend.setCurrentKey(key);
      if (backend.value('value').get() === undefined) {
        throw new Error(`${name}: the key ${key} is not there`);
      }
    }
    const readableMs = performance.now() - startedAtMs;
    const peakMebibytes = peak.stop();
    const found = await this.#scan(subtasks);
    if (found !== this.#expected) {
      throw new Error(`${name}: a full scan gives ${found}, and should give ${this.#expected}`);
    }
    const ways = subtasks.map((backend) => wayOf(backend.counters()));
    announce(
      `  ${name}: readable after ${Math.round(readableMs)} ms (${ways.join(', ')}), peak RSS ${peakMebibytes} MiB, full scan equal`,
    );
    this.#results[`readableMs${name}`] = Math.round(readableMs);
    this.#results[`peakRssMebibytes${name}`] = peakMebibytes;
    return subtasks;
  }

  async #open(parallelism: number, parts: readonly RestoredPart[]): Promise<Subtasks> {
    const declaration = { name: 'value', stateType: 'value', valueType: t.bytes.descriptor } as const;
    return await Promise.all(
      Array.from({ length: parallelism }, (_, index) =>
        this.#create(
          {
            ...{ keyType: t.string, namespaceType: undefined, timers: false, maxParallelism },
            name: `rescale-${this.#nextNumber++}`,
            states: [{ declaration, valueType: t.bytes, mapKeyType: undefined, aggregate: undefined }],
            keyGroups: keyGroupRangeOf(index, parallelism, maxParallelism),
            nowMs: Date.now,
            onRoom: () => {},
          },
          parts,
        ),
      ),
    );
  }

  async #close(subtasks: Subtasks): Promise<void> {
    await Promise.all(subtasks.map((backend) => backend.close()));
  }

  async #populate(subtasks: Subtasks): Promise<void> {
    await this.#eachKey(subtasks, (backend, _key, index) => backend.value('value').set(this.#values.valueOf(index, 0)));
  }

  /** One key in a hundred is written again, with what it had. */
  async #change(subtasks: Subtasks): Promise<void> {
    await this.#eachKey(subtasks, (backend, _key, index) => {
      if (index % 100 === 0) {
        backend.value('value').set(this.#values.valueOf(index, 0));
      }
    });
  }

  /** How many keys there are, and a hash of them and their values that does not depend on their order. */
  async #scan(subtasks: Subtasks): Promise<string> {
    let count = 0;
    let sum = 0;
    let xor = 0;
    await this.#eachKey(subtasks, (backend, key, index) => {
      const value = backend.value('value').get();
      if (value instanceof Uint8Array) {
        const hash = hashOf(key, value, index);
        count++;
        sum = (sum + hash) >>> 0;
        xor ^= hash;
      }
    });
    return `${count} keys, ${sum}, ${xor}`;
  }

  async #eachKey(subtasks: Subtasks, visit: (backend: KeyedStateBackend, key: string, index: number) => void): Promise<void> {
    for (let start = 0; start < this.#keyCount; start += batchKeyCount) {
      this.#signal.throwIfAborted();
      const indexesBySubtask: number[][] = subtasks.map(() => []);
      for (let index = start; index < Math.min(start + batchKeyCount, this.#keyCount); index++) {
        indexesBySubtask[subtaskOf(keyAt(index), subtasks.length)]?.push(index);
      }
      for (const [subtask, backend] of subtasks.entries()) {
        const indexes = indexesBySubtask[subtask] as number[];
        const keys = indexes.map(keyAt);
        backend.prepareBatch(keys);
        for (const [position, index] of indexes.entries()) {
          backend.selectKey(position);
          visit(backend, keys[position] as string, index);
        }
      }
      await yieldToEventLoop();
    }
  }

  async #checkpoint(subtasks: Subtasks, format: SnapshotFormat = 'Native'): Promise<readonly RestoredPart[]> {
    return await Promise.all(
      subtasks.map(async (backend, index): Promise<RestoredPart> => {
        const target = this.#target(format);
        const { backend: written, handle, files } = await backend.snapshot(format).write(target);
        return {
          backend: written,
          keyGroups: keyGroupRangeOf(index, subtasks.length, maxParallelism),
          bytes: await this.#read(handle),
          files: await Promise.all(
            files.map(async (file) => ({
              name: file.name,
              sizeBytes: file.handle.type === 'file' ? file.handle.sizeBytes : Buffer.from(file.handle.base64, 'base64').length,
              fetch: (localPath) => this.#fetch(file.handle, localPath),
              read: () => this.#read(file.handle),
            })),
          ),
        };
      }),
    );
  }

  /** Files are links, as with a local checkpoint storage or files that were kept. */
  #target(format: SnapshotFormat): SnapshotTarget {
    const prefix = `checkpoint-${this.#nextNumber++}`;
    const putFile: SnapshotTarget['putFile'] = async (name, localPath) => {
      const path = `${prefix}-${name}`;
      await link(localPath, join(this.#directory, path));
      return { type: 'file', path, sizeBytes: (await stat(localPath)).size, sha256: '' };
    };
    return {
      format,
      putBytes: async (name, bytes) => {
        const path = `${prefix}-${name}`;
        await writeFile(join(this.#directory, path), bytes);
        return { type: 'file', path, sizeBytes: bytes.length, sha256: '' };
      },
      putFile,
      putSharedFile: putFile,
    };
  }

  async #read(handle: StateHandle): Promise<Uint8Array> {
    return handle.type === 'inline' ? Buffer.from(handle.base64, 'base64') : await readFile(join(this.#directory, handle.path));
  }

  async #fetch(handle: StateHandle, localPath: string): Promise<void> {
    if (handle.type === 'inline') {
      await writeFile(localPath, await this.#read(handle));
    } else {
      await link(join(this.#directory, handle.path), localPath);
    }
  }
}

async function whenCompacted(subtasks: Subtasks): Promise<void> {
  while (subtasks.some((backend) => backend.counters()['outsideCompactionDone'] !== 1)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function wayOf(counters: Readonly<Record<string, number>>): string {
  return counters['restoredByFiles'] === 1 ? 'files' : counters['restoredByRewrittenFiles'] === 1 ? 'rewritten files' : 'rows';
}

/** Of the process, looked at all the time. */
class PeakResidentSize {
  #bytes = process.memoryUsage.rss();
  readonly #timer = setInterval(() => this.#look(), 10);

  stop(): number {
    clearInterval(this.#timer);
    this.#look();
    return Math.round(this.#bytes / 2 ** 20);
  }

  #look(): void {
    this.#bytes = Math.max(this.#bytes, process.memoryUsage.rss());
  }
}

const keyWriter = new BinaryWriter();

function subtaskOf(key: string, parallelism: number): number {
  keyWriter.reset();
  t.string.encodeKey(key, keyWriter);
  const keyGroup = keyGroupOf(keyWriter.buffer, maxParallelism, 0, keyWriter.length);
  return Math.floor((keyGroup * parallelism) / maxParallelism);
}

function keyAt(index: number): string {
  return `k${String(index).padStart(7, '0')}`;
}

/** FNV-1a, of 32 bits. */
function hashOf(key: string, value: Uint8Array, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  for (const byte of value) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
