import { randomUUID } from 'node:crypto';
import { watch } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { JobError } from '@flinkjob/runtime/rest';
import { type FlinkJobKey, type FlinkJobManifest, formatKey, keyOf, StoredFlinkJob } from '../api/flink-job.ts';
import type { FlinkJobStatus } from '../api/flink-job-status.ts';
import { apiVersion, kind } from '../api/labels.ts';
import type { Clock } from '../clock.ts';
import type { Revision } from '../flink-job/revision.ts';
import { canonicalJson } from '../flink-job/spec-diff.ts';
import { readFileIfPresent, writeFileAtomically } from './atomic-file.ts';
import { FileMutex } from './file-mutex.ts';
import { type FlinkJobStore, type NumberedRevision, StoreConflictError } from './flink-job-store.ts';

/**
 * FlinkJobs as files: `<directory>/<namespace>/<name>.json`, revisions in `<name>.revisions/<uid>/`. Several processes may use one
 * directory (the controller and the command line): every change reads, compares and replaces under a lock.
 */
export class FileFlinkJobStore implements FlinkJobStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #mutex: FileMutex;

  constructor(options: { readonly directory: string; readonly clock: Clock }) {
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#mutex = new FileMutex(path.join(options.directory, '.lock'));
  }

  async get(key: FlinkJobKey): Promise<StoredFlinkJob | undefined> {
    const file = this.#fileOf(key);
    const text = await readFileIfPresent(file);
    return text === undefined ? undefined : parseStored(text, file);
  }

  async list(): Promise<readonly StoredFlinkJob[]> {
    const keys = await this.#keys();
    const found = await Promise.all(keys.map((key) => this.get(key)));
    return found.filter((flinkJob) => flinkJob !== undefined);
  }

  async apply(manifest: FlinkJobManifest): Promise<StoredFlinkJob> {
    return this.#mutex.run(async () => {
      const key = keyOf(manifest);
      const before = await this.get(key);
      if (before?.metadata.deletionTimestamp !== undefined) {
        throw new JobError(`FlinkJob ${formatKey(key)} is being deleted`, {
          domain: 'user',
          retry: 'backoff',
          code: 'BeingDeleted',
          remedy: 'Apply it again when it is gone.',
        });
      }
      const next = before === undefined ? this.#create(manifest) : this.#replace(before, manifest);
      return next === before ? before : this.#write(next);
    });
  }

  async delete(key: FlinkJobKey, which?: { readonly uid: string; readonly resourceVersion?: string }): Promise<void> {
    await this.#mutex.run(async () => {
      const before = await this.get(key);
      const { uid = before?.metadata.uid, resourceVersion = before?.metadata.resourceVersion } = which ?? {};
      const isMeant = before?.metadata.uid === uid && before?.metadata.resourceVersion === resourceVersion;
      if (before === undefined || !isMeant || before.metadata.deletionTimestamp !== undefined) {
        return;
      }
      if (before.metadata.finalizers.length === 0) {
        await this.#erase(key);
        return;
      }
      const deletionTimestamp = new Date(this.#clock.nowMs()).toISOString();
      await this.#write({ ...before, metadata: { ...before.metadata, deletionTimestamp } });
    });
  }

  async updateStatus(read: StoredFlinkJob, status: FlinkJobStatus): Promise<StoredFlinkJob> {
    return this.#mutex.run(async () => {
      const before = await this.#unchanged(read);
      return this.#write({ ...before, status });
    });
  }

  async updateFinalizers(read: StoredFlinkJob, finalizers: readonly string[]): Promise<StoredFlinkJob | undefined> {
    return this.#mutex.run(async () => {
      const before = await this.#unchanged(read);
      if (finalizers.length === 0 && before.metadata.deletionTimestamp !== undefined) {
        await this.#erase(keyOf(before));
        return undefined;
      }
      return this.#write({ ...before, metadata: { ...before.metadata, finalizers: [...finalizers] } });
    });
  }

  async putRevision(key: FlinkJobKey, uid: string, revision: Revision, number = 1): Promise<void> {
    const file = this.#revisionFile(key, uid, revision.name);
    if ((await readFileIfPresent(file)) === undefined) {
      await writeFileAtomically(file, `${JSON.stringify({ number, revision } satisfies NumberedRevision, undefined, 2)}\n`);
    }
  }

  async getRevision(key: FlinkJobKey, uid: string, name: string): Promise<Revision | undefined> {
    return (await readRevision(this.#revisionFile(key, uid, name)))?.revision;
  }

  async listRevisions(key: FlinkJobKey, uid: string): Promise<readonly NumberedRevision[]> {
    const directory = this.#revisionsOf(key, uid);
    const files = (await namesIn(directory)).filter((file) => file.endsWith('.json'));
    const found = await Promise.all(files.map((file) => readRevision(path.join(directory, file))));
    return found.filter((each) => each !== undefined).sort((a, b) => b.number - a.number);
  }

  async pruneRevisions(key: FlinkJobKey, uid: string, keep: readonly string[]): Promise<void> {
    const directory = this.#revisionsOf(key, uid);
    const files = await namesIn(directory);
    const superfluous = files.filter((file) => file.endsWith('.json') && !keep.includes(file.slice(0, -'.json'.length)));
    await Promise.all(superfluous.map((file) => rm(path.join(directory, file), { force: true })));
  }

  async watch(onChange: (key: FlinkJobKey) => void, signal: AbortSignal): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    const announceAll = async () => {
      for (const key of await this.#keys()) {
        onChange(key);
      }
    };
    // Notifications of file systems are hints that may be lost, and a recursive watch may be refused; the list is the truth.
    const watcher = watch(this.#directory, { recursive: true, signal }, (_event, file) => {
      const key = typeof file === 'string' ? keyOfFile(file) : undefined;
      if (key !== undefined) {
        onChange(key);
      }
    });
    watcher.on('error', () => watcher.close());
    while (!signal.aborted) {
      await announceAll();
      await pause(this.#clock, listIntervalMs, signal);
    }
  }

  #create(manifest: FlinkJobManifest): StoredFlinkJob {
    return {
      apiVersion,
      kind,
      metadata: {
        ...manifest.metadata,
        uid: randomUUID(),
        generation: 1,
        resourceVersion: '0',
        creationTimestamp: new Date(this.#clock.nowMs()).toISOString(),
        finalizers: [],
      },
      spec: manifest.spec,
    };
  }

  /** The very same object when nothing differs. */
  #replace(before: StoredFlinkJob, manifest: FlinkJobManifest): StoredFlinkJob {
    const sameSpec = canonicalJson(before.spec) === canonicalJson(manifest.spec);
    const { labels, annotations } = manifest.metadata;
    const sameMetadata =
      canonicalJson(before.metadata.labels ?? {}) === canonicalJson(labels ?? {}) &&
      canonicalJson(before.metadata.annotations ?? {}) === canonicalJson(annotations ?? {});
    if (sameSpec && sameMetadata) {
      return before;
    }
    const generation = before.metadata.generation + (sameSpec ? 0 : 1);
    return { ...before, metadata: { ...before.metadata, labels, annotations, generation }, spec: manifest.spec };
  }

  async #unchanged(read: StoredFlinkJob): Promise<StoredFlinkJob> {
    const now = await this.get(keyOf(read));
    if (
      now === undefined ||
      now.metadata.uid !== read.metadata.uid ||
      now.metadata.resourceVersion !== read.metadata.resourceVersion
    ) {
      throw new StoreConflictError(`FlinkJob ${formatKey(keyOf(read))} was changed by somebody else`);
    }
    return now;
  }

  async #write(flinkJob: StoredFlinkJob): Promise<StoredFlinkJob> {
    const resourceVersion = String(Number(flinkJob.metadata.resourceVersion) + 1);
    const next = { ...flinkJob, metadata: { ...flinkJob.metadata, resourceVersion } };
    await writeFileAtomically(this.#fileOf(keyOf(flinkJob)), `${JSON.stringify(next, undefined, 2)}\n`);
    return next;
  }

  async #erase(key: FlinkJobKey): Promise<void> {
    await rm(this.#fileOf(key), { force: true });
    await rm(path.join(this.#directory, key.namespace, `${key.name}.revisions`), { recursive: true, force: true });
  }

  async #keys(): Promise<readonly FlinkJobKey[]> {
    const namespaces = await namesIn(this.#directory);
    const perNamespace = await Promise.all(
      namespaces.map(async (namespace) => {
        const files = await namesIn(path.join(this.#directory, namespace));
        return files.map((file) => keyOfFile(path.join(namespace, file)));
      }),
    );
    return perNamespace.flat().filter((key) => key !== undefined);
  }

  #fileOf(key: FlinkJobKey): string {
    return path.join(this.#directory, key.namespace, `${key.name}.json`);
  }

  #revisionFile(key: FlinkJobKey, uid: string, name: string): string {
    return path.join(this.#revisionsOf(key, uid), `${name}.json`);
  }

  #revisionsOf(key: FlinkJobKey, uid: string): string {
    return path.join(this.#directory, key.namespace, `${key.name}.revisions`, uid);
  }
}

/** How late a lost notification is noticed. */
const listIntervalMs = 5_000;

function keyOfFile(file: string): FlinkJobKey | undefined {
  const match = /^([a-z][-a-z0-9]*)[\\/]([a-z][-a-z0-9]*)\.json$/.exec(file);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { namespace: match[1], name: match[2] };
}

/** A directory that cannot be listed counts as empty: whoever watches or lists looks again. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch {
    return [];
  }
}

function parseStored(text: string, file: string): StoredFlinkJob {
  try {
    return StoredFlinkJob.parse(JSON.parse(text));
  } catch (cause) {
    throw new JobError(`the stored FlinkJob ${file} cannot be read`, {
      domain: 'external',
      retry: 'never',
      code: 'StoredFlinkJobCorrupt',
      remedy: 'Delete the file and apply the resource again; the job continues from its lineage in checkpoint storage.',
      cause,
    });
  }
}

async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.schedule(delayMs, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    const stop = () => {
      cancel();
      resolve();
    };
    if (signal.aborted) {
      stop();
    }
    signal.addEventListener('abort', stop, { once: true });
  });
}

async function readRevision(file: string): Promise<NumberedRevision | undefined> {
  const text = await readFileIfPresent(file);
  if (text === undefined) {
    return undefined;
  }
  // Before revisions had numbers, the file was the revision itself.
  const read = JSON.parse(text) as NumberedRevision | Revision;
  return 'revision' in read ? read : { number: 1, revision: read };
}
