/**
 * All that the engine asks of a medium (lineage.md): put-if-absent, get, list, delete. One folder per medium. Paths are relative,
 * with `/`, and no path is also the folder of another. Values are immutable: a path is written at most once.
 */
export interface CheckpointStorage {
  /** For people and error messages: `file:///var/checkpoints/default/word-count`. */
  readonly url: string;

  /**
   * `Created`: this call's bytes are durable under `path`. `Occupied`: something is there already, perhaps from an earlier try of
   * the same call. Throws `StorageError`; with `outcome: 'Unknown'` the bytes may yet appear, at any later time.
   */
  putIfAbsent(path: string, bytes: Uint8Array): Promise<'Created' | 'Occupied'>;

  /**
   * As `putIfAbsent`, with the content of a local file that nobody changes any more: linked where the medium can, else copied. The file
   * stays the caller's.
   */
  putFileIfAbsent(path: string, file: string): Promise<'Created' | 'Occupied'>;

  /**
   * Brings an object to a local file that must not exist, by a link where the medium can: the file must never be changed. `Missing`: nothing is
   * there, and no file came of it. What the disk of the local file refuses is thrown as the system said it, and is no `StorageError`.
   */
  getFile(path: string, file: string): Promise<'Created' | 'Missing'>;

  /**
   * Makes `to` here a copy of what is at `path` in `source`, without bringing the bytes to this process: linked on a local disk, copied by the
   * server on S3. As with every put, `to` is never replaced. `Unsupported`, without any effect: the two do not share a medium, and whoever
   * wants the copy brings it through a local file (`getFile`, `putFileIfAbsent`). `Missing`: nothing is at `path`.
   */
  copyFrom(source: CheckpointStorage, path: string, to: string): Promise<CopyResult>;

  /**
   * SHA-256 of what is at a path, lower-case hex; undefined when nothing is there. Only of media where that brings no bytes over a network: elsewhere the
   * method is absent.
   */
  sha256?(path: string): Promise<string | undefined>;

  /** Undefined when nothing is there. Reads its own and others' completed puts (strong consistency). */
  get(path: string): Promise<Uint8Array | undefined>;

  /**
   * Everything below `prefix` (a folder, ending in `/`, or '' for all), sorted by path; with `after`, only paths greater than that one, at
   * the cost of those alone. Not one moment's picture: what comes or goes meanwhile may or may not appear.
   */
  list(prefix: string, after?: string): Promise<readonly StoredObject[]>;

  /** Missing paths are no error. */
  delete(paths: readonly string[]): Promise<void>;
}

export type CopyResult = 'Created' | 'Occupied' | 'Missing' | 'Unsupported';

export interface StoredObject {
  readonly path: string;
  readonly sizeBytes: number;
  /** By the medium's clock, which need not be ours; S3 gives whole seconds. */
  readonly modifiedAtMs: number;
}

export class StorageError extends Error {
  override readonly name = 'StorageError';
  /** `NotApplied`: surely without effect. `Unknown`: it may have had its effect, or may have it later. */
  readonly outcome: 'NotApplied' | 'Unknown';
  /** Whether the same call can succeed in a moment without anybody changing anything (a full disk: no; a time-out: yes). */
  readonly retryable: boolean;
  /**
   * Whether to come back to it later without the job being changed, for a `JobError` about it. Not the same: there is no point in
   * repeating a call on a full disk at once, but space comes back, and a job that gave up for ever would not.
   */
  readonly retry: 'never' | 'backoff';

  constructor(
    message: string,
    options: { outcome: 'NotApplied' | 'Unknown'; retryable: boolean; mayHeal?: boolean; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.outcome = options.outcome;
    this.retryable = options.retryable;
    this.retry = options.retryable || options.mayHeal === true ? 'backoff' : 'never';
  }
}

/** The medium says by its own checksum that an object is not what was written, every time it is read. */
export class DamagedObjectError extends StorageError {
  constructor(message: string) {
    super(message, { outcome: 'NotApplied', retryable: false });
  }
}
