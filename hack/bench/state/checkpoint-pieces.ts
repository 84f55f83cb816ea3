import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openCheckpointStorage } from '../../../runtime/src/checkpoint-storage/open-checkpoint-storage.ts';
import { planMemory } from '../../../runtime/src/core/memory/memory-budget.ts';
import { t } from '../../../runtime/src/core/types/t.ts';
import { createRocksDbStateBackendFactory } from '../../../runtime/src/state-backend/rocksdb/keyed-state-backend.ts';
import { loadNativeBinding } from '../../../runtime/src/state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackend, SnapshotTarget } from '../../../runtime/src/state-backend/state-backend.ts';
import { systemClock } from '../../../runtime/src/system-clock.ts';
import { SharedFiles } from '../../../runtime/src/task-manager/shared-files.ts';
import { snapshotTarget } from '../../../runtime/src/task-manager/state-files.ts';
import { announce } from '../announce.ts';
import { GeneratedValues } from '../jobs/generated-values.ts';
import { KeySequence } from '../jobs/key-sequence.ts';
import { median } from '../median.ts';
import type { Measurement, MeasurementOptions } from '../repeated-measurement.ts';

const mebibyte = 1024 * 1024;
const valueSizeBytes = 112;
/** With its key: what a key costs before compression. */
const entrySizeBytes = 120;
const stateSizesMb = { full: [12, 120, 1200], quick: [12, 120] };
const batchKeyCount = 512;
const checkpointCount = { full: 5, quick: 3 };
/** Keys that change between two checkpoints; a little less than a backend keeps unwritten. */
const changedKeyCount = 100_000;
const memory = planMemory({ totalSizeBytes: 512 * mebibyte, threadCount: 1, stateBackend: 'RocksDB' });

/** Of one checkpoint; milliseconds. */
interface CheckpointPieces {
  /** All that stops records at the barrier. */
  readonly barrierMs: number;
  /** Writing what had changed, in slices between batches of records. */
  readonly drainMs: number;
  readonly flushMs: number;
  readonly linkMs: number;
  readonly putMs: number;
  /** From the barrier on. */
  readonly totalMs: number;
  /** Between the ends of two batches while the checkpoint was under way, and while none was. */
  readonly longestGapMs: number;
  readonly usualLongestGapMs: number;
  readonly recordsMeanwhile: number;
  readonly files: number;
  readonly stateMebibytes: number;
  /** Files of rows that the last checkpoint did not have. */
  readonly newFiles: number;
  readonly newMebibytes: number;
}

/**
 * What a checkpoint of keyed state in RocksDB consists of, at three sizes of state, while records go on: 100,000 keys were changed since the last. In this
 * process, with the backend, the storage and the limits of a TaskManager of 512 MiB. Every file of rows in checkpoint storage must be a hard link.
 */
export async function measureCheckpointPieces({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const measurement: Record<string, number> = {};
  for (const sizeMb of isQuick ? stateSizesMb.quick : stateSizesMb.full) {
    announce(`checkpoint-pieces: ${sizeMb} MB …`);
    const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
    try {
      const state = await BenchedState.open(directory, Math.round((sizeMb * 1e6) / entrySizeBytes), signal);
      await state.populate();
      const pieces: CheckpointPieces[] = [];
      for (let number = 1; number <= (isQuick ? checkpointCount.quick : checkpointCount.full); number++) {
        pieces.push(await state.checkpoint(number));
      }
      await state.close();
      // The first holds everything that was ever written.
      const medians = mediansOf(pieces.slice(1));
      announce(`  first: ${JSON.stringify(pieces[0])}`);
      announce(`  others, medians: ${JSON.stringify(medians)}`);
      for (const [name, value] of Object.entries(medians)) {
        measurement[`${name}At${sizeMb}Mb`] = value;
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return measurement;
}

function mediansOf(pieces: readonly CheckpointPieces[]): Readonly<Record<string, number>> {
  const [first] = pieces;
  return Object.fromEntries(
    Object.keys(first ?? {}).map((name) => {
      const value = median(pieces.map((each) => each[name as keyof CheckpointPieces]));
      return [name, Math.round(value * 100) / 100];
    }),
  );
}

/** A backend with one value per key, and a task that never rests. */
class BenchedState {
  readonly #backend: KeyedStateBackend;
  readonly #storageRoot: string;
  readonly #keyCount: number;
  readonly #keys: KeySequence;
  readonly #values = new GeneratedValues({ sizeBytesMin: valueSizeBytes, sizeBytesMax: valueSizeBytes });
  readonly #signal: AbortSignal;
  readonly #linkedInodes = new Set<number>();
  #nextIndex = 0;

  private constructor(backend: KeyedStateBackend, storageRoot: string, keyCount: number, signal: AbortSignal) {
    this.#backend = backend;
    this.#storageRoot = storageRoot;
    this.#keyCount = keyCount;
    this.#keys = new KeySequence({ seed: 1, keyCount });
    this.#signal = signal;
  }

  static async open(directory: string, keyCount: number, signal: AbortSignal): Promise<BenchedState> {
    const working = join(directory, 'state');
    const storageRoot = join(directory, 'checkpoints');
    await mkdir(working);
    await mkdir(storageRoot);
    const { rocksDb } = memory;
    const create = createRocksDbStateBackendFactory({
      binding: loadNativeBinding(),
      memory: rocksDb && { capacityBytes: rocksDb.capacitySizeBytes, writeBufferBytes: rocksDb.writeBufferSizeBytes },
      allocateDirectory: async () => ({ path: working, release: () => rm(working, { recursive: true, force: true }) }),
    });
    const declaration = { name: 'value', stateType: 'value', valueType: t.bytes.descriptor } as const;
    const backend = await create(
      {
        ...{ name: 'bench-0', keyType: t.int, namespaceType: undefined, timers: false, maxParallelism: 128 },
        states: [{ declaration, valueType: t.bytes, mapKeyType: undefined, aggregate: undefined }],
        keyGroups: { first: 0, last: 127 },
        nowMs: systemClock.nowMs,
        onRoom: () => {},
      },
      [],
    );
    return new BenchedState(backend, storageRoot, keyCount, signal);
  }

  async populate(): Promise<void> {
    while (this.#nextIndex < this.#keyCount) {
      await this.#batch();
    }
  }

  async checkpoint(number: number): Promise<CheckpointPieces> {
    let usualLongestGapMs = 0;
    for (const endIndex = this.#nextIndex + changedKeyCount; this.#nextIndex < endIndex; ) {
      usualLongestGapMs = Math.max(usualLongestGapMs, await this.#batch());
    }
    const firstIndex = this.#nextIndex;
    const files = new Map<string, { readonly inode: number; readonly sizeBytes: number }>();
    const startedAtMs = performance.now();
    const snapshot = this.#backend.snapshot();
    const barrierMs = performance.now() - startedAtMs;
    let isWritten = false;
    const writing = snapshot.write(this.#target(number, files)).finally(() => {
      isWritten = true;
    });
    let longestGapMs = 0;
    while (!isWritten) {
      longestGapMs = Math.max(longestGapMs, await this.#batch());
    }
    await writing;
    const totalMs = performance.now() - startedAtMs;
    const { snapshotDrainMs, snapshotFlushMs, snapshotLinkMs, snapshotPutMs } = this.#backend.counters();
    const added = [...files.values()].filter(({ inode }) => !this.#linkedInodes.has(inode));
    for (const { inode } of added) {
      this.#linkedInodes.add(inode);
    }
    const mebibytesOf = (some: Iterable<{ readonly sizeBytes: number }>) =>
      [...some].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / mebibyte;
    return {
      barrierMs,
      drainMs: snapshotDrainMs ?? Number.NaN,
      flushMs: snapshotFlushMs ?? Number.NaN,
      linkMs: snapshotLinkMs ?? Number.NaN,
      putMs: snapshotPutMs ?? Number.NaN,
      ...{ totalMs, longestGapMs, usualLongestGapMs },
      recordsMeanwhile: this.#nextIndex - firstIndex,
      files: files.size,
      stateMebibytes: mebibytesOf(files.values()),
      newFiles: added.length,
      newMebibytes: mebibytesOf(added),
    };
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }

  /** Reads and writes the next keys, as a task does between two turns of the event loop. Gives the milliseconds until the next may begin. */
  async #batch(): Promise<number> {
    const startedAtMs = performance.now();
    this.#signal.throwIfAborted();
    if (this.#backend.hasRoom) {
      const keys = Array.from({ length: batchKeyCount }, (_, index) => this.#keys.keyAt(this.#nextIndex + index));
      const handle = this.#backend.value('value');
      this.#backend.prepareBatch(keys);
      for (const [index, key] of keys.entries()) {
        this.#backend.selectKey(index);
        handle.get();
        handle.set(this.#values.valueOf(key, this.#nextIndex + index));
      }
      this.#nextIndex += batchKeyCount;
    }
    await yieldToEventLoop();
    return performance.now() - startedAtMs;
  }

  /** As a TaskManager has it; sees to it that files of rows get there as links. */
  #target(number: number, files: Map<string, { readonly inode: number; readonly sizeBytes: number }>): SnapshotTarget {
    const lineage = { namespace: 'bench', name: 'job' };
    const storage = openCheckpointStorage(pathToFileURL(this.#storageRoot).href, lineage);
    const place = { directory: `checkpoints/chk-${number}`, uid: 'state', subtaskIndex: 0, executionAttempt: 1 };
    const ports = { storage, clock: systemClock };
    // Nothing is known of earlier checkpoints, so that each one puts all of its files.
    const sharedFiles = new SharedFiles(ports, { epoch: number, executionAttempt: 1 });
    const target = snapshotTarget(ports, { ...place, checkpointId: number, format: 'Native', onUploaded: () => {} }, sharedFiles);
    return {
      format: 'Native',
      putBytes: target.putBytes,
      putFile: target.putFile,
      putSharedFile: async (name, localPath, known) => {
        const { ino, size } = await stat(localPath);
        const handle = await target.putSharedFile(name, localPath, known);
        if (name.endsWith('.sst')) {
          // A small one travels in the manifest.
          if (handle.type === 'file' && (await stat(join(this.#storageRoot, 'bench', 'job', handle.path))).ino !== ino) {
            throw new Error(`${name} is not a hard link in checkpoint storage`);
          }
          files.set(name, { inode: ino, sizeBytes: size });
        }
        return handle;
      },
    };
  }
}
