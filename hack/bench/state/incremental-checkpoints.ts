import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { CheckpointStorage } from '../../../runtime/src/checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage } from '../../../runtime/src/checkpoint-storage/open-checkpoint-storage.ts';
import { planMemory } from '../../../runtime/src/core/memory/memory-budget.ts';
import { t } from '../../../runtime/src/core/types/t.ts';
import { createRocksDbStateBackendFactory } from '../../../runtime/src/state-backend/rocksdb/keyed-state-backend.ts';
import { completeLimits } from '../../../runtime/src/state-backend/rocksdb/limits.ts';
import { loadNativeBinding } from '../../../runtime/src/state-backend/rocksdb/native-loader.ts';
import type { KeyedStateBackend } from '../../../runtime/src/state-backend/state-backend.ts';
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
const keyCounts = { full: 10_000_000, quick: 200_000 };
/** Of the keys; between two checkpoints. */
const changedShare = 0.01;
const changedRoundCount = 5;
const barrierCount = { full: 100, quick: 20 };
/** Between them files are put ahead, as between checkpoints. */
const populatingSliceCount = 40;
const batchKeyCount = 512;
/** What a JobManager puts for a checkpoint: the manifest and the entry of the lineage. */
const jobManagerPutCount = 2;
const memory = planMemory({ totalSizeBytes: 512 * mebibyte, threadCount: 1, stateBackend: 'RocksDB' });
const limits = completeLimits({});

/**
 * Incremental checkpoints of keyed state in RocksDB. When nothing changed a TaskManager puts nothing; with one key in a hundred changed it puts the files of rows that are
 * new to its database and not a byte more, which is checked against what then lies in checkpoint storage. Files are put ahead while the state grows, so the first
 * checkpoint waits for what is left.
 * Last, how long a barrier stops records, with as much unwritten as a backend ever has.
 */
export async function measureIncrementalCheckpoints({ isQuick, signal }: MeasurementOptions): Promise<Measurement> {
  const keyCount = isQuick ? keyCounts.quick : keyCounts.full;
  const directory = await mkdtemp(join(tmpdir(), 'flinkjob-bench-'));
  try {
    const state = await BenchedState.open(directory, keyCount, signal);
    announce(`incremental-checkpoints: ${keyCount} keys …`);
    for (let slice = 0; slice < populatingSliceCount; slice++) {
      await state.change(keyCount / populatingSliceCount);
      await state.putAhead();
    }
    const first = await state.checkpoint();
    announce(`  first: ${describe(first)}`);
    const settled = await state.settle();
    announce(`  nothing changed: ${describe(settled)}`);
    const rounds: Checkpoint[] = [];
    for (let round = 0; round < changedRoundCount; round++) {
      await state.change(Math.round(keyCount * changedShare));
      rounds.push(await state.checkpoint());
    }
    announce(`  1 % changed: ${rounds.map(describe).join('; ')}`);
    const ahead: Checkpoint[] = [];
    for (let round = 0; round < changedRoundCount; round++) {
      await state.change(Math.round(keyCount * changedShare));
      // A file is put at the second look that finds it.
      await state.putAhead();
      await state.putAhead();
      ahead.push(await state.checkpoint());
    }
    announce(`  1 % changed, with what compaction wrote put ahead: ${ahead.map(describe).join('; ')}`);
    const barriers = await state.barriers(isQuick ? barrierCount.quick : barrierCount.full);
    announce(
      `  ${barriers.milliseconds.length} barriers with up to ${barriers.dirtyCount} changed keys unwritten (bound ${limits.dirtyCountMax})`,
    );
    await state.close();
    return {
      stateMebibytes: inMebibytes(first.stateSizeBytes),
      firstUploadedAtBarrierMebibytes: inMebibytes(first.uploadedSizeBytes),
      putsWhenNothingChanged: settled.putCount + jobManagerPutCount,
      changedMebibytes: inMebibytes(Math.round(keyCount * changedShare) * valueSizeBytes),
      uploadedMebibytes: inMebibytes(median(rounds.map(({ uploadedSizeBytes }) => uploadedSizeBytes))),
      uploadedAtBarrierMebibytes: inMebibytes(median(ahead.map(({ uploadedSizeBytes }) => uploadedSizeBytes))),
      barrierDirtyBound: limits.dirtyCountMax,
      barrierP50Ms: percentile(barriers.milliseconds, 0.5),
      barrierP99Ms: percentile(barriers.milliseconds, 0.99),
      barrierMaxMs: percentile(barriers.milliseconds, 1),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Checkpoint {
  /** By the backend's TaskManager. */
  readonly putCount: number;
  readonly uploadedSizeBytes: number;
  readonly newFileCount: number;
  readonly stateSizeBytes: number;
  readonly milliseconds: number;
}

function describe({ putCount, uploadedSizeBytes, newFileCount, milliseconds }: Checkpoint): string {
  return `${putCount} puts, ${inMebibytes(uploadedSizeBytes)} MiB of ${newFileCount} new files in ${Math.round(milliseconds)} ms`;
}

function inMebibytes(sizeBytes: number): number {
  return Math.round((sizeBytes / mebibyte) * 100) / 100;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return Math.round((value ?? Number.NaN) * 1000) / 1000;
}

/** A backend with one value per key, and what a TaskManager knows of its files. */
class BenchedState {
  readonly #backend: KeyedStateBackend;
  readonly #storage: CheckpointStorage;
  readonly #sharedFiles: SharedFiles;
  readonly #keys: KeySequence;
  readonly #values = new GeneratedValues({ sizeBytesMin: valueSizeBytes, sizeBytesMax: valueSizeBytes });
  readonly #signal: AbortSignal;
  #nextIndex = 0;
  #checkpointId = 0;

  private constructor(
    backend: KeyedStateBackend,
    files: { readonly storage: CheckpointStorage; readonly sharedFiles: SharedFiles },
    keyCount: number,
    signal: AbortSignal,
  ) {
    this.#backend = backend;
    this.#storage = files.storage;
    this.#sharedFiles = files.sharedFiles;
    this.#keys = new KeySequence({ seed: 1, keyCount });
    this.#signal = signal;
  }

  static async open(directory: string, keyCount: number, signal: AbortSignal): Promise<BenchedState> {
    const working = join(directory, 'state');
    const storageRoot = join(directory, 'checkpoints');
    await mkdir(working);
    await mkdir(storageRoot);
    const storage = openCheckpointStorage(pathToFileURL(storageRoot).href, { namespace: 'bench', name: 'job' });
    const sharedFiles = new SharedFiles({ storage, clock: systemClock }, { epoch: 1, executionAttempt: 1 });
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
        storedFiles: sharedFiles,
      },
      [],
    );
    return new BenchedState(backend, { storage, sharedFiles }, keyCount, signal);
  }

  /** The next keys, in an order that is spread over all of them. */
  async change(keyCount: number): Promise<void> {
    for (const endIndex = this.#nextIndex + keyCount; this.#nextIndex < endIndex; ) {
      this.#signal.throwIfAborted();
      if (this.#backend.hasRoom) {
        const count = Math.min(batchKeyCount, endIndex - this.#nextIndex);
        const keys = Array.from({ length: count }, (_, index) => this.#keys.keyAt(this.#nextIndex + index));
        const handle = this.#backend.value('value');
        this.#backend.prepareBatch(keys);
        for (const [index, key] of keys.entries()) {
          this.#backend.selectKey(index);
          handle.set(this.#values.valueOf(key, this.#nextIndex + index));
        }
        this.#nextIndex += count;
      }
      await yieldToEventLoop();
    }
  }

  /** Throws when checkpoint storage has got anything but the new files of rows. */
  async checkpoint(): Promise<Checkpoint> {
    const before = await this.#stored();
    this.#checkpointId += 1;
    const sizes: number[] = [];
    const startedAtMs = performance.now();
    const written = await this.#backend.snapshot().write(this.#target(this.#checkpointId, (sizeBytes) => sizes.push(sizeBytes)));
    const milliseconds = performance.now() - startedAtMs;
    this.#sharedFiles.settled(this.#checkpointId);
    const after = await this.#stored();
    const named = written.files.flatMap(({ handle }) => (handle.type === 'file' ? [handle] : []));
    const added = named.filter(({ path }) => !before.has(path));
    const uploadedSizeBytes = sum(sizes);
    const storedSizeBytes = sum([...after].filter(([path]) => !before.has(path)).map(([, sizeBytes]) => sizeBytes));
    if (uploadedSizeBytes !== storedSizeBytes || uploadedSizeBytes !== sum(added.map(({ sizeBytes }) => sizeBytes))) {
      throw new Error(
        `${uploadedSizeBytes} bytes were put, the new files have ${sum(added.map(({ sizeBytes }) => sizeBytes))}, and storage got ${storedSizeBytes}`,
      );
    }
    return {
      ...{ putCount: sizes.length, uploadedSizeBytes, newFileCount: added.length, milliseconds },
      stateSizeBytes: sum(named.map(({ sizeBytes }) => sizeBytes)),
    };
  }

  /** Checkpoints until compaction has nothing left to do; the last one had nothing to put. */
  async settle(): Promise<Checkpoint> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const checkpoint = await this.checkpoint();
      if (checkpoint.newFileCount === 0) {
        return checkpoint;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error('compaction does not come to an end although nothing changes');
  }

  /** One look for new files. */
  async putAhead(): Promise<void> {
    await this.#backend.putAhead?.(
      (name, localPath, { sha256 }) =>
        this.#sharedFiles.put({ name, localPath, sha256, checkpointId: undefined, onUploaded: () => {} }),
      () => true,
    );
  }

  async barriers(count: number): Promise<{ readonly milliseconds: readonly number[]; readonly dirtyCount: number }> {
    const milliseconds: number[] = [];
    let dirtyCount = 0;
    for (let barrier = 0; barrier < count; barrier++) {
      await this.change(Math.round(limits.dirtyCountMax * 0.95));
      dirtyCount = Math.max(dirtyCount, this.#backend.counters()['dirtyEntries'] ?? 0);
      this.#checkpointId += 1;
      const startedAtMs = performance.now();
      const snapshot = this.#backend.snapshot();
      milliseconds.push(performance.now() - startedAtMs);
      await snapshot.write(this.#target(this.#checkpointId, () => {}));
      this.#sharedFiles.settled(this.#checkpointId);
    }
    return { milliseconds, dirtyCount };
  }

  async close(): Promise<void> {
    await this.#backend.close();
  }

  #target(checkpointId: number, onUploaded: (sizeBytes: number) => void) {
    return snapshotTarget(
      { storage: this.#storage, clock: systemClock },
      {
        ...{ directory: `chk-${checkpointId}`, uid: 'state', subtaskIndex: 0, executionAttempt: 1 },
        ...{ checkpointId, format: 'Native', onUploaded },
      },
      this.#sharedFiles,
    );
  }

  async #stored(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#storage.list('')).map(({ path, sizeBytes }) => [path, sizeBytes]));
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
