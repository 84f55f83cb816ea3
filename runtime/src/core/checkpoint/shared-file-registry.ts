import { assert } from '../assert.ts';
import type { FencingToken } from '../fencing-token.ts';
import { type LineageRules, lineageRules } from '../lineage/lineage-rules.ts';
import type { FileIdentity } from '../lineage/same-content.ts';
import type { StateHandle } from './manifest.ts';

export type FileHandle = StateHandle & { readonly type: 'file' };

/** A file as the database has it now: `000012.sst`. The same name never comes again with other content while the database is open. */
export interface LocalFile {
  readonly name: string;
  readonly sizeBytes: number;
}

type Rules = Pick<LineageRules, 'sharedFilePath' | 'isSameContent' | 'forgettableNames'>;

/**
 * Which files of one open database are in checkpoint storage already, and under which names. Bookkeeping alone: whoever owns it writes the files.
 *
 * 1. It knows files that came out of storage unchanged and files that it has seen written whole, of its own database alone.
 * 2. A file stays known while the database has it, or a snapshot that is not acknowledged yet needs it.
 * 3. A name that was forgotten is given to no file any more, whatever its content.
 */
export class SharedFileRegistry {
  readonly #token: FencingToken;
  readonly #rules: Rules;
  /** By local name. */
  readonly #stored = new Map<string, FileHandle>();
  /** Names in storage that something is being written under. */
  readonly #uploading = new Map<string, number>();
  /** The database's files when it was asked last; undefined before. */
  #live: ReadonlySet<string> | undefined;
  /** Local names, by open snapshot. */
  readonly #needed = new Map<number, Set<string>>();
  #forgetRequest = 0;

  constructor(token: FencingToken, rules: Rules = lineageRules) {
    this.#token = token;
    this.#rules = rules;
  }

  /** What a restore made of files in storage. */
  restored(files: readonly FileIdentity[], sources: readonly (FileIdentity & { readonly handle: FileHandle })[]): void {
    // There may be ten thousand of either.
    const bySize = Map.groupBy(sources, ({ sizeBytes }) => sizeBytes);
    for (const file of files) {
      const source = bySize.get(file.sizeBytes)?.find((each) => this.#rules.isSameContent(file, each));
      if (source !== undefined) {
        this.#stored.set(file.name, source.handle);
      }
    }
  }

  /** All files that the database has now; what it has no more it will never have again. */
  retain(names: Iterable<string>): void {
    this.#live = new Set(names);
    this.#dropUnneeded();
  }

  /** Where the file is; undefined when it is to be written. `checkpointId`: of the snapshot that will name it. */
  find({ name, sizeBytes }: LocalFile, checkpointId?: number): FileHandle | undefined {
    if (checkpointId !== undefined) {
      this.#need(name, checkpointId);
    }
    const handle = this.#stored.get(name);
    assert(
      handle === undefined || handle.sizeBytes === sizeBytes,
      `${name} is known with ${handle?.sizeBytes} bytes and has ${sizeBytes}`,
    );
    return handle;
  }

  /** The name to write the file under; to be followed by `uploaded` or `failed` with it. */
  beginUpload(sha256: string): string {
    const { epoch, executionAttempt } = this.#token;
    const path = this.#rules.sharedFilePath({ epoch, executionAttempt, sha256, forgetRequest: this.#forgetRequest });
    this.#uploading.set(path, (this.#uploading.get(path) ?? 0) + 1);
    return path;
  }

  uploaded(name: string, handle: FileHandle): void {
    this.#endUpload(handle.path);
    this.#stored.set(name, handle);
    this.#dropUnneeded();
  }

  /** What was written may still appear; it is garbage under a name that is asked for and forgotten like any other. */
  failed(path: string): void {
    this.#endUpload(path);
  }

  /** The snapshot was acknowledged, or never will be. */
  settled(checkpointId: number): void {
    this.#needed.delete(checkpointId);
    this.#dropUnneeded();
  }

  /** Of these names those that this database neither has nor is writing. None of them will be named again. */
  forget(requestId: number, names: readonly string[]): readonly string[] {
    this.#forgetRequest = Math.max(this.#forgetRequest, requestId);
    const held = new Set([...this.#stored.values()].map(({ path }) => path));
    return this.#rules.forgettableNames(names, new Set([...held, ...this.#uploading.keys()]));
  }

  #need(name: string, checkpointId: number): void {
    const names = this.#needed.get(checkpointId) ?? new Set();
    this.#needed.set(checkpointId, names.add(name));
  }

  #endUpload(path: string): void {
    const count = this.#uploading.get(path);
    assert(count !== undefined, `${path} is not being written`);
    if (count === 1) {
      this.#uploading.delete(path);
    } else {
      this.#uploading.set(path, count - 1);
    }
  }

  #dropUnneeded(): void {
    const live = this.#live;
    if (live === undefined) {
      return;
    }
    const needed = [...this.#needed.values()];
    for (const name of this.#stored.keys()) {
      if (!live.has(name) && !needed.some((names) => names.has(name))) {
        this.#stored.delete(name);
      }
    }
  }
}
