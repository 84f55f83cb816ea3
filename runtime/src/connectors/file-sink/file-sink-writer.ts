import { randomBytes } from 'node:crypto';
import { closeSync, fsync, openSync, writeSync } from 'node:fs';
import { link, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { compareFencingTokens } from '../../core/fencing-token.ts';
import { JobError } from '../../core/job-error.ts';
import type { CommittableData, SinkWriter, SinkWriterContext } from '../../core/job-graph/sink.ts';
import { formatPendingName, type PendingName, parsePendingName, pendingDirectory, visibleName } from './file-names.ts';

/** Text gathered before it is handed to the file. */
const bufferedCharacterCountMax = 64 * 1024;

/** What a checkpoint holds about one file; both names are below the sink's directory. */
export interface FileCommittable {
  readonly pending: string;
  readonly visible: string;
}

/**
 * One subtask's part of a file sink. The in-progress file is closed at the barrier, made durable and renamed to a pending one; the
 * commit links it to its visible name. Each step can be repeated, also by another process, and none overwrites anything.
 */
export class FileSinkWriter<T> implements SinkWriter<T> {
  readonly #directory: string;
  readonly #pendingDirectory: string;
  readonly #context: SinkWriterContext;
  readonly #format: (record: T) => string;
  readonly #writer = randomBytes(4).toString('hex');
  #text = '';
  #file: { readonly descriptor: number; readonly name: string } | undefined;
  #fileCount = 0;
  #hasPrepared = false;
  #hasCleaned = false;
  /** Files of this writer that were committed last; removed at the next commit. */
  #committedNames: readonly string[] = [];

  constructor(options: {
    readonly directory: string;
    readonly context: SinkWriterContext;
    readonly format: (record: T) => string;
  }) {
    this.#directory = options.directory;
    this.#context = options.context;
    this.#pendingDirectory = pendingDirectory(options.context.lineageId, options.context.uid);
    this.#format = options.format;
  }

  write(records: readonly T[]): void {
    for (const record of records) {
      this.#text += `${this.#format(record)}\n`;
      if (this.#text.length >= bufferedCharacterCountMax) {
        this.#flush();
      }
    }
  }

  async prepareCommit(checkpointId: number): Promise<readonly CommittableData[]> {
    this.#hasPrepared = true;
    this.#flush();
    const file = this.#file;
    this.#file = undefined;
    return file === undefined ? [] : [await this.#makePending(file, checkpointId)];
  }

  async commit(committables: readonly CommittableData[]): Promise<void> {
    const committed: string[] = [];
    for (const committable of committables) {
      committed.push(await this.#commitFile(committable as FileCommittable));
    }
    if (committed.length > 0) {
      await syncDirectory(this.#directory);
      await this.#remove(this.#committedNames);
      this.#committedNames = committed;
    }
    if (this.#hasPrepared && !this.#hasCleaned && this.#context.subtaskIndex === 0) {
      this.#hasCleaned = true;
      await this.#removeLeftovers();
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) {
      closeSync(file.descriptor);
      await unlinkIfThere(this.#absolute(file.name));
    }
  }

  #flush(): void {
    if (this.#text === '') {
      return;
    }
    const bytes = Buffer.from(this.#text);
    this.#text = '';
    try {
      this.#file ??= this.#create();
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.#file.descriptor, bytes, written);
      }
    } catch (error) {
      throw this.#failure('cannot write', error);
    }
  }

  #create(): { readonly descriptor: number; readonly name: string } {
    this.#fileCount++;
    const name = this.#name('inprogress', this.#fileCount);
    return { name, descriptor: openSync(this.#absolute(name), 'wx') };
  }

  async #makePending(
    file: { readonly descriptor: number; readonly name: string },
    checkpointId: number,
  ): Promise<FileCommittable> {
    const pending = this.#name('pending', checkpointId);
    try {
      await syncAndClose(file.descriptor);
      await rename(this.#absolute(file.name), this.#absolute(pending));
      await syncDirectory(this.#absolute(this.#pendingDirectory));
    } catch (error) {
      throw this.#failure(`cannot make ${file.name} durable`, error);
    }
    return { pending, visible: visibleName(this.#context.uid, { ...this.#context, checkpointId, writer: this.#writer }) };
  }

  /** Gives the name under which the file is kept until the next commit. */
  async #commitFile({ pending, visible }: FileCommittable): Promise<string> {
    const committed = pending.replace(/\.pending$/, '.committed');
    try {
      await link(this.#absolute(pending), this.#absolute(visible));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') {
        await this.#expectCommitted({ pending, visible }, committed);
        return committed;
      }
      // Occupied by an earlier try of this commit, which may not have come to the rename.
      if (code !== 'EEXIST' || !(await this.#isSameFile(pending, visible))) {
        throw this.#failure(`cannot commit ${pending} as ${visible}`, error);
      }
    }
    try {
      await rename(this.#absolute(pending), this.#absolute(committed));
    } catch (error) {
      ignoreMissing(error);
    }
    return committed;
  }

  /**
   * The pending file is gone. That is right if it was committed: then it is visible, or, where a reader of the directory has taken it
   * away already, a trace of this commit or of a later one is left.
   */
  async #expectCommitted(file: FileCommittable, committed: string): Promise<void> {
    if ((await exists(this.#absolute(file.visible))) || (await exists(this.#absolute(committed)))) {
      return;
    }
    const checkpointId = parsePendingName(file.pending.slice(file.pending.lastIndexOf('/') + 1))?.checkpointId ?? 0;
    const newest = (await this.#list())
      .filter((each) => each.parsed.state === 'committed')
      .reduce((highest, each) => Math.max(highest, each.parsed.checkpointId), 0);
    if (newest < checkpointId) {
      throw new JobError(`fileSink: ${this.#absolute(file.pending)} is gone, but it is not committed as ${file.visible}`, {
        domain: 'external',
        retry: 'backoff',
        code: 'PendingFileMissing',
        remedy: `Somebody removed it, or ${this.#directory} is not the directory that the job wrote to: bring it back. If its lines may be lost, put an empty file with the name ${file.visible} there, and the job goes on.`,
      });
    }
  }

  /**
   * Removes what older tokens of this lineage and uid left. Called with the first commit of a checkpoint that this token took: by then
   * every subtask has committed what it restored, and no older token can complete a checkpoint any more, so nobody will ask for those
   * files again. The newest trace of a commit stays.
   */
  async #removeLeftovers(): Promise<void> {
    const older = (await this.#list()).filter(({ parsed }) => compareFencingTokens(parsed.token, this.#context.token) < 0);
    const newestCommit = older
      .filter(({ parsed }) => parsed.state === 'committed')
      .reduce((highest, { parsed }) => Math.max(highest, parsed.checkpointId), 0);
    const isTrace = (parsed: PendingName) => parsed.state === 'committed' && parsed.checkpointId === newestCommit;
    await this.#remove(older.filter(({ parsed }) => !isTrace(parsed)).map(({ name }) => name));
  }

  async #list(): Promise<readonly { readonly name: string; readonly parsed: PendingName }[]> {
    const names = await readdir(this.#absolute(this.#pendingDirectory));
    return names.flatMap((name) => {
      const parsed = parsePendingName(name);
      return parsed === undefined ? [] : [{ name: `${this.#pendingDirectory}/${name}`, parsed }];
    });
  }

  async #remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await unlinkIfThere(this.#absolute(name));
    }
  }

  #name(state: PendingName['state'], checkpointId: number): string {
    const { token, subtaskIndex } = this.#context;
    return `${this.#pendingDirectory}/${formatPendingName({ token, subtaskIndex, checkpointId, writer: this.#writer, state })}`;
  }

  /** True also when the pending file has gone: another try of the same commit has just moved it on. */
  async #isSameFile(pending: string, visible: string): Promise<boolean> {
    const found = await stat(this.#absolute(visible));
    try {
      return (await stat(this.#absolute(pending))).ino === found.ino;
    } catch (error) {
      ignoreMissing(error);
      return true;
    }
  }

  #absolute(name: string): string {
    return join(this.#directory, name);
  }

  #failure(what: string, cause: unknown): JobError {
    return new JobError(`fileSink ${this.#directory}: ${what}: ${cause instanceof Error ? cause.message : cause}`, {
      domain: 'external',
      retry: 'backoff',
      code: 'SinkFileFailed',
      remedy: 'Is the disk full, or the directory gone?',
      cause,
    });
  }
}

async function syncAndClose(descriptor: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  fsync(descriptor, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    closeSync(descriptor);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    ignoreMissing(error);
    return false;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    ignoreMissing(error);
  }
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
    throw error;
  }
}
