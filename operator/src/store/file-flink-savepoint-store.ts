import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { FlinkJobKey } from '../api/flink-job.ts';
import { flinkJobNameOf, type NewFlinkSavepoint, StoredFlinkSavepoint, savepointKind } from '../api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../api/flink-savepoint-status.ts';
import { apiVersion, labels } from '../api/labels.ts';
import type { Clock } from '../clock.ts';
import { listIfPresent, readFileIfPresent, writeFileAtomically } from './atomic-file.ts';
import { FileMutex } from './file-mutex.ts';
import type { FlinkJobStore } from './flink-job-store.ts';
import { StoreConflictError } from './flink-job-store.ts';
import { byAge, type FlinkSavepointStore } from './flink-savepoint-store.ts';

/** FlinkSavepoints of a work directory as files: `<directory>/<namespace>/<name>.json`, under a lock as FlinkJobs are. */
export class FileFlinkSavepointStore implements FlinkSavepointStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #mutex: FileMutex;
  readonly #flinkJobs: FlinkJobStore;

  constructor(options: { readonly directory: string; readonly clock: Clock; readonly flinkJobs: FlinkJobStore }) {
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#mutex = new FileMutex(path.join(options.directory, '.lock'));
    this.#flinkJobs = options.flinkJobs;
  }

  async listOf({ namespace, name }: FlinkJobKey): Promise<readonly StoredFlinkSavepoint[]> {
    const files = (await listIfPresent(path.join(this.#directory, namespace))).filter((file) => file.endsWith('.json'));
    const found = await Promise.all(files.map((file) => this.#read({ namespace, name: file.slice(0, -'.json'.length) })));
    return found
      .filter((each) => each !== undefined)
      .filter(({ spec }) => flinkJobNameOf(spec) === name)
      .sort(byAge);
  }

  async create({ namespace, name, labels: chosen, annotations, spec }: NewFlinkSavepoint): Promise<boolean> {
    return await this.#mutex.run(async () => {
      if ((await this.#read({ namespace, name })) !== undefined) {
        return false;
      }
      const creationTimestamp = new Date(this.#clock.nowMs()).toISOString();
      const marks = { ...chosen, [labels.flinkJob]: spec.flinkJobName };
      const made = { namespace, name, uid: randomUUID(), generation: 1, resourceVersion: '0', creationTimestamp };
      const metadata = { ...made, finalizers: [], labels: marks, annotations: { ...annotations } };
      await this.#write({ apiVersion, kind: savepointKind, metadata, spec });
      return true;
    });
  }

  async delete(savepoint: StoredFlinkSavepoint): Promise<void> {
    await this.#mutex.run(async () => {
      const before = await this.#read(savepoint.metadata);
      if (before?.metadata.uid !== savepoint.metadata.uid || before.metadata.deletionTimestamp !== undefined) {
        return;
      }
      if (before.metadata.finalizers.length === 0) {
        await rm(this.#fileOf(before.metadata), { force: true });
        return;
      }
      const deletionTimestamp = new Date(this.#clock.nowMs()).toISOString();
      await this.#write({ ...before, metadata: { ...before.metadata, deletionTimestamp } });
    });
  }

  async updateStatus(read: StoredFlinkSavepoint, status: FlinkSavepointStatus): Promise<StoredFlinkSavepoint> {
    return this.#mutex.run(async () => this.#write({ ...(await this.#unchanged(read)), status }));
  }

  async updateFinalizers(read: StoredFlinkSavepoint, finalizers: readonly string[]): Promise<StoredFlinkSavepoint | undefined> {
    return this.#mutex.run(async () => {
      const before = await this.#unchanged(read);
      if (finalizers.length === 0 && before.metadata.deletionTimestamp !== undefined) {
        await rm(this.#fileOf(before.metadata), { force: true });
        return undefined;
      }
      return this.#write({ ...before, metadata: { ...before.metadata, finalizers: [...finalizers] } });
    });
  }

  /** One machine has few jobs: each is looked at whenever a FlinkJob may have changed. */
  async watch(onChange: (flinkJob: FlinkJobKey) => void, signal: AbortSignal): Promise<void> {
    await this.#flinkJobs.watch(onChange, signal);
  }

  async #read({ namespace, name }: FlinkJobKey): Promise<StoredFlinkSavepoint | undefined> {
    const text = await readFileIfPresent(this.#fileOf({ namespace, name }));
    return text === undefined ? undefined : StoredFlinkSavepoint.parse(JSON.parse(text));
  }

  async #unchanged(read: StoredFlinkSavepoint): Promise<StoredFlinkSavepoint> {
    const { namespace, name, uid, resourceVersion } = read.metadata;
    const now = await this.#read(read.metadata);
    if (now === undefined || now.metadata.uid !== uid || now.metadata.resourceVersion !== resourceVersion) {
      throw new StoreConflictError(`FlinkSavepoint ${namespace}/${name} was changed by somebody else`);
    }
    return now;
  }

  async #write(savepoint: StoredFlinkSavepoint): Promise<StoredFlinkSavepoint> {
    const resourceVersion = String(Number(savepoint.metadata.resourceVersion) + 1);
    const next = { ...savepoint, metadata: { ...savepoint.metadata, resourceVersion } };
    await writeFileAtomically(this.#fileOf(savepoint.metadata), `${JSON.stringify(next, undefined, 2)}\n`);
    return next;
  }

  #fileOf({ namespace, name }: FlinkJobKey): string {
    return path.join(this.#directory, namespace, `${name}.json`);
  }
}
