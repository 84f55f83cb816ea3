import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { assert } from '../../core/assert.ts';
import type { SnapshotFormat, StateFile } from '../../core/checkpoint/manifest.ts';
import { JobError } from '../../core/job-error.ts';
import { writeCanonicalPart } from '../canonical/write-part.ts';
import type { KeyedStateSnapshot, SnapshotTarget, StoredFiles, WrittenState } from '../state-backend.ts';
import { openDatabaseRows } from './database-rows.ts';
import { columnFamilies } from './key-layout.ts';
import type { NativeDatabase, NativeSnapshot } from './native-binding.ts';
import { toLocalDiskError, toStateError } from './native-errors.ts';
import { encodeStatePart, type StatePart, type StatePartFile } from './state-part.ts';
import type { WriteBack } from './write-back.ts';

/** What a snapshot took, in milliseconds. */
export interface SnapshotTimes {
  /** On the barrier: nothing but this stops records. */
  freezeMs: number;
  /** Writing what was changed before the barrier, in slices between records. */
  drainMs: number;
  flushMs: number;
  linkMs: number;
  putMs: number;
}

export interface KeyedStateSnapshotOptions {
  readonly database: NativeDatabase;
  readonly writeBack: WriteBack;
  /** For the links; must not exist, and does not when the snapshot has ended. */
  readonly directory: string;
  /** As of the barrier; the files come later. */
  readonly part: Omit<StatePart, 'files'>;
  /** What is known of the database's files, which are never changed; brought up to date. */
  readonly sha256ByFile: Map<string, string>;
  readonly storedFiles: StoredFiles | undefined;
  readonly format: SnapshotFormat;
  readonly times: SnapshotTimes;
  /** The links exist, or never will. */
  readonly onFixed: () => void;
}

/**
 * A snapshot is the database as it was at the barrier: what was changed before is written and flushed to files, and the files are linked into a
 * directory beside the database. Until then nothing later is written. Afterwards the links are put into checkpoint storage, while the
 * database goes on.
 */
export class RocksDbSnapshot implements KeyedStateSnapshot {
  readonly #options: KeyedStateSnapshotOptions;
  readonly #fixed: Promise<readonly StatePartFile[]>;
  #isFixing = true;
  #isEnded = false;
  #frozenRows: NativeSnapshot | undefined;
  #writing: Promise<WrittenState> | undefined;
  #removed: Promise<void> | undefined;

  constructor(options: KeyedStateSnapshotOptions) {
    this.#options = options;
    const startedAtMs = performance.now();
    options.writeBack.freeze();
    options.times.freezeMs = performance.now() - startedAtMs;
    this.#fixed = this.#fix();
    // Whoever writes the snapshot hears of it; nobody may.
    this.#fixed.catch(() => undefined);
  }

  write(target: SnapshotTarget): Promise<WrittenState> {
    assert(this.#writing === undefined, 'a snapshot was written twice');
    this.#writing = this.#write(target);
    return this.#writing;
  }

  discard(): void {
    this.#isEnded = true;
    this.#endFixing();
    if (this.#writing === undefined) {
      void this.#remove().catch(() => undefined);
    }
  }

  /** When nothing of it is under way any more, and nothing is left. */
  async settled(): Promise<void> {
    await this.#writing?.catch(() => undefined);
    await this.#removed?.catch(() => undefined);
  }

  async #fix(): Promise<readonly StatePartFile[]> {
    const { database, writeBack, directory, format, times, storedFiles } = this.#options;
    try {
      // Not in the step that sends the barrier on.
      await yieldToEventLoop();
      times.drainMs = 0;
      for (let isMore = true; isMore; ) {
        this.#throwIfEnded();
        const sliceStartedAtMs = performance.now();
        isMore = writeBack.drainFrozen();
        times.drainMs += performance.now() - sliceStartedAtMs;
        await yieldToEventLoop();
      }
      this.#throwIfEnded();
      const flushStartedAtMs = performance.now();
      await database.flush();
      this.#throwIfEnded();
      assertFlushed(database);
      const linkStartedAtMs = performance.now();
      times.flushMs = linkStartedAtMs - flushStartedAtMs;
      const files = await database.checkpoint(directory);
      // What the links show. Only for rows: when such a snapshot ends, RocksDB writes files of its last level anew that have nothing to wait for any more, and
      // with each checkpoint all of them would be new files to put.
      this.#frozenRows = format === 'Canonical' ? database.snapshot() : undefined;
      times.linkMs = performance.now() - linkStartedAtMs;
      storedFiles?.retain(files.map(({ name }) => name).filter(isImmutable));
      return files.filter(({ name }) => isNeeded(name));
    } catch (error) {
      throw toStateError(error, 'cannot make a snapshot of state on the local disk');
    } finally {
      this.#endFixing();
    }
  }

  #endFixing(): void {
    if (this.#isFixing) {
      this.#isFixing = false;
      this.#options.writeBack.endFixing();
      this.#options.onFixed();
    }
  }

  async #write(target: SnapshotTarget): Promise<WrittenState> {
    const { part, times } = this.#options;
    try {
      const files = await this.#fixed;
      const startedAtMs = performance.now();
      assert(target.format === this.#options.format, 'a snapshot is written in the format that it was taken for');
      if (target.format === 'Canonical') {
        return await this.#writeRows(target);
      }
      const written = await this.#putFiles(target, files);
      this.#throwIfEnded();
      const bytes = encodeStatePart({ ...part, files: written.map(({ file }) => file) });
      const handle = await target.putBytes('part', bytes);
      this.#throwIfEnded();
      times.putMs = performance.now() - startedAtMs;
      return { backend: 'RocksDB', handle, files: written.map(({ stateFile }) => stateFile) };
    } catch (error) {
      throw toLocalDiskError(error, 'cannot read a snapshot of state on the local disk');
    } finally {
      this.#isEnded = true;
      await this.#remove();
    }
  }

  async #writeRows(target: SnapshotTarget): Promise<WrittenState> {
    const { database, part, times } = this.#options;
    const startedAtMs = performance.now();
    this.#throwIfEnded();
    assert(this.#frozenRows !== undefined, 'a snapshot that is fixed can be read');
    const written = await writeCanonicalPart(openDatabaseRows(database, part, this.#frozenRows), target, {
      throwIfEnded: () => this.#throwIfEnded(),
    });
    times.putMs = performance.now() - startedAtMs;
    return written;
  }

  async #putFiles(
    target: SnapshotTarget,
    files: readonly StatePartFile[],
  ): Promise<readonly { readonly file: StatePartFile; readonly stateFile: StateFile }[]> {
    const written: { readonly file: StatePartFile; readonly stateFile: StateFile }[] = [];
    let nextIndex = 0;
    const putNext = async (): Promise<void> => {
      for (let file = files[nextIndex++]; file !== undefined && !this.#isEnded; file = files[nextIndex++]) {
        written.push(await this.#putFile(target, file));
      }
    };
    const results = await Promise.allSettled(Array.from({ length: putsAtOnceMax }, putNext));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    this.#throwIfEnded();
    this.#rememberFiles(written.map(({ file }) => file));
    return written;
  }

  async #putFile(
    target: SnapshotTarget,
    file: StatePartFile,
  ): Promise<{ readonly file: StatePartFile; readonly stateFile: StateFile }> {
    const { name, sizeBytes } = file;
    const known = { sha256: this.#options.sha256ByFile.get(name) };
    const localPath = join(this.#options.directory, name);
    const handle = await (isImmutable(name)
      ? target.putSharedFile(name, localPath, known)
      : target.putFile(name, localPath, known));
    const sha256 = handle.type === 'file' ? { sha256: handle.sha256 } : {};
    return { file: { name, sizeBytes, ...sha256 }, stateFile: { name, handle } };
  }

  /** Each file of rows is hashed once in its life. Those that are no longer in the database will not be asked for. */
  #rememberFiles(files: readonly StatePartFile[]): void {
    const { sha256ByFile } = this.#options;
    sha256ByFile.clear();
    for (const { name, sha256 } of files) {
      if (sha256 !== undefined && isImmutable(name)) {
        sha256ByFile.set(name, sha256);
      }
    }
  }

  /** After what may still be writing into the directory. */
  #remove(): Promise<void> {
    this.#removed ??= (async () => {
      await this.#fixed.catch(() => undefined);
      this.#frozenRows?.close();
      await rm(this.#options.directory, { recursive: true, force: true });
    })();
    return this.#removed;
  }

  #throwIfEnded(): void {
    if (this.#isEnded) {
      throw new JobError('the snapshot ended before it was written', {
        domain: 'internal',
        retry: 'backoff',
        code: 'SnapshotDiscarded',
      });
    }
  }
}

/** Nothing was written since the drain, so all of it is in files now; a checkpoint without some of it would be silent loss. */
function assertFlushed(database: NativeDatabase): void {
  for (const [columnFamily, { name }] of columnFamilies.entries()) {
    for (const property of ['rocksdb.num-entries-active-mem-table', 'rocksdb.num-immutable-mem-table']) {
      const count = database.property(columnFamily, property);
      assert(count === '0', `${property} of the column family ${name} is ${count} after a flush`);
    }
  }
}

/** `CURRENT` only names the manifest, `OPTIONS` are given at every opening, and a log of writes is never written. */
function isNeeded(name: string): boolean {
  return isImmutable(name) || name.startsWith('MANIFEST-');
}

function isImmutable(name: string): boolean {
  return name.endsWith('.sst');
}

/** Enough to hide the storage's latency, few enough to leave it to others too. */
const putsAtOnceMax = 4;
