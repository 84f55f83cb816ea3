import type { CheckpointStorage } from '../../src/checkpoint-storage/checkpoint-storage.ts';
import { getVerified } from '../../src/checkpoint-storage/verified-objects.ts';
import type { KeyedStatePart, StateFile } from '../../src/core/checkpoint/manifest.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { KeyGroupRange } from '../../src/core/key-groups/key-group.ts';
import type { LineageRules } from '../../src/core/lineage/lineage-rules.ts';
import { SharedFiles } from '../../src/task-manager/shared-files.ts';
import { decodeDescription, decodeRows, emptyRow, encodeDescription, encodeRows, isInRange, type Row } from './model-rows.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

export interface SimulatedDatabaseOptions {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
  readonly disk: SimulatedDisk;
  readonly rules: LineageRules;
  readonly token: FencingToken;
  readonly keyGroups: KeyGroupRange;
  /** A planted bug: a restore leaves timers behind. */
  readonly forgetsTimers: boolean;
}

interface DatabaseFile {
  readonly name: string;
  readonly path: string;
}

/** Content as of a barrier. */
export interface FixedFiles {
  readonly files: readonly DatabaseFile[];
  readonly nextFileNumber: number;
}

/**
 * Keyed state as RocksDB keeps it, as far as checkpoints can tell: rows in memory, files that are never changed with numbers for names, compaction. What is
 * in checkpoint storage of them, and what may be forgotten, is decided by the real `SharedFiles`.
 */
export class SimulatedDatabase {
  readonly #options: SimulatedDatabaseOptions;
  readonly #sharedFiles: SharedFiles;
  readonly #rows = new Map<string, Row>();
  readonly #unwritten = new Set<string>();
  /** From the oldest to the newest. */
  #files: readonly DatabaseFile[] = [];
  #nextFileNumber = 1;

  constructor(options: SimulatedDatabaseOptions) {
    const { storage, clock, token, rules, disk } = options;
    this.#options = options;
    this.#sharedFiles = new SharedFiles({ storage, clock }, token, { rules, localFiles: disk, inlineSizeBytesMax: 0 });
  }

  get(key: string): Row {
    return this.#rows.get(key) ?? emptyRow;
  }

  set(key: string, row: Row): void {
    this.#rows.set(key, row);
    this.#unwritten.add(key);
  }

  /** A single part is opened in place; files of several are brought together under new numbers, or their rows are copied. */
  async restore(parts: readonly KeyedStatePart[]): Promise<void> {
    const fetched = await Promise.all(parts.map((part) => this.#fetch(part)));
    for (const { part, files } of fetched) {
      for (const [key, row] of files.flatMap(({ path }) => decodeRows(this.#options.disk.bytesOf(path)))) {
        if (isInRange(key, part.keyGroups) && isInRange(key, this.#options.keyGroups)) {
          this.#rows.set(key, this.#options.forgetsTimers ? { ...row, timers: [] } : row);
        }
      }
    }
    const [first] = fetched;
    if (first !== undefined && fetched.length === 1) {
      this.#files = first.files;
      this.#nextFileNumber = first.nextFileNumber;
    } else if (fetched.every(({ isWithinRange }) => isWithinRange)) {
      // Low enough for names that the files of some part had, and now others have.
      const numbers = fetched.flatMap(({ files }) => files.map(({ name }) => Number.parseInt(name, 10)));
      this.#nextFileNumber = numbers.length === 0 ? 1 : Math.min(...numbers);
      const imported = fetched.toReversed().flatMap(({ files }) => files);
      this.#files = imported.map(({ path }) => ({ name: this.#nextFileName(), path }));
    } else {
      this.#compact();
    }
    const identityOf = ({ name, path }: DatabaseFile) => ({
      name,
      identity: path,
      sizeBytes: this.#options.disk.bytesOf(path).byteLength,
    });
    this.#sharedFiles.restored(
      this.#files.map(identityOf),
      fetched.flatMap(({ part, files }) =>
        files.map((file) => {
          const handle = part.files.find(({ name }) => name === file.name)?.handle;
          const sizeBytes = identityOf(file).sizeBytes;
          const unused = (): never => {
            throw new Error('the file is here already');
          };
          return { ...identityOf(file), file: { name: file.name, sizeBytes, handle, fetch: unused, read: unused } };
        }),
      ),
    );
    this.#retain();
  }

  /** What was changed goes into a new file. */
  fix(): FixedFiles {
    if (this.#unwritten.size > 0) {
      this.#addFile([...this.#unwritten]);
    }
    this.#retain();
    return { files: this.#files, nextFileNumber: this.#nextFileNumber };
  }

  async write({ files, nextFileNumber }: FixedFiles, checkpointId: number): Promise<Omit<KeyedStatePart, 'keyGroups'>> {
    const stored: StateFile[] = [];
    for (const { name, path } of files) {
      stored.push({ name, handle: await this.#put(name, path, checkpointId) });
    }
    const description = { files: files.map(({ name }) => name), nextFileNumber };
    return { backend: 'RocksDB', handle: { type: 'inline', base64: encodeDescription(description) }, files: stored };
  }

  settled(checkpointId: number): void {
    this.#sharedFiles.settled(checkpointId);
  }

  forget(requestId: number, names: readonly string[]): readonly string[] {
    return this.#sharedFiles.forget(requestId, names);
  }

  /** One file of all rows, the same as before if nothing has changed: content that is known comes again under another number. */
  compact(): void {
    this.#compact();
    this.#retain();
  }

  async putAhead(): Promise<void> {
    for (const { name, path } of this.#files) {
      await this.#put(name, path, undefined);
    }
  }

  #compact(): void {
    this.#files = [];
    this.#addFile([...this.#rows.keys()]);
  }

  #addFile(keys: readonly string[]): void {
    const bytes = encodeRows(keys.map((key) => [key, this.get(key)]));
    this.#files = [...this.#files, { name: this.#nextFileName(), path: this.#options.disk.create(bytes) }];
    for (const key of keys) {
      this.#unwritten.delete(key);
    }
  }

  #nextFileName(): string {
    const name = `${String(this.#nextFileNumber).padStart(6, '0')}.sst`;
    this.#nextFileNumber += 1;
    return name;
  }

  #retain(): void {
    this.#sharedFiles.retain(this.#files.map(({ name }) => name));
  }

  async #put(name: string, localPath: string, checkpointId: number | undefined): Promise<StateFile['handle']> {
    return await this.#sharedFiles.put({ name, localPath, sha256: undefined, checkpointId, onUploaded: () => {} });
  }

  async #fetch(part: KeyedStatePart): Promise<FetchedPart> {
    const { disk, storage } = this.#options;
    const { files: names, nextFileNumber } = decodeDescription(part);
    const files: DatabaseFile[] = [];
    for (const name of names) {
      const handle = part.files.find((file) => file.name === name)?.handle;
      if (handle?.type !== 'file') {
        throw new Error(`the part does not say where ${name} is`);
      }
      const copy = disk.copyOf(handle.path);
      // The same path would mean one file for two databases, which is so with links too.
      const path = copy ?? disk.create(await getVerified(storage, handle));
      disk.keepCopy(handle.path, path);
      files.push({ name, path });
    }
    const keys = files.flatMap(({ path }) => decodeRows(disk.bytesOf(path))).map(([key]) => key);
    return { part, files, nextFileNumber, isWithinRange: keys.every((key) => isInRange(key, part.keyGroups)) };
  }
}

interface FetchedPart extends FixedFiles {
  readonly part: KeyedStatePart;
  /** No file has rows of other key groups. */
  readonly isWithinRange: boolean;
}
