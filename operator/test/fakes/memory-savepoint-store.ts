import type { FlinkJobKey } from '../../src/api/flink-job.ts';
import {
  flinkJobNameOf,
  type NewFlinkSavepoint,
  type StoredFlinkSavepoint,
  savepointKind,
} from '../../src/api/flink-savepoint.ts';
import type { FlinkSavepointStatus } from '../../src/api/flink-savepoint-status.ts';
import { apiVersion } from '../../src/api/labels.ts';
import type { Clock } from '../../src/clock.ts';
import { StoreConflictError } from '../../src/store/flink-job-store.ts';
import { byAge, type FlinkSavepointStore } from '../../src/store/flink-savepoint-store.ts';

/** FlinkSavepoints that nobody has to wait for. */
export class MemorySavepointStore implements FlinkSavepointStore {
  readonly #byName = new Map<string, StoredFlinkSavepoint>();
  readonly #clock: Clock;
  #uids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async listOf({ namespace, name }: FlinkJobKey): Promise<readonly StoredFlinkSavepoint[]> {
    return [...this.#byName.values()]
      .filter(({ metadata, spec }) => metadata.namespace === namespace && flinkJobNameOf(spec) === name)
      .sort(byAge);
  }

  find(name: string): StoredFlinkSavepoint | undefined {
    return this.#byName.get(name);
  }

  async create({ namespace, name, labels, annotations, spec }: NewFlinkSavepoint): Promise<boolean> {
    const isNew = !this.#byName.has(name);
    if (isNew) {
      this.#uids += 1;
      const made = { namespace, name, uid: `uid-${this.#uids}`, generation: 1, resourceVersion: '1', finalizers: [] };
      const creationTimestamp = new Date(this.#clock.nowMs()).toISOString();
      const metadata = { ...made, creationTimestamp, labels: { ...labels }, annotations: { ...annotations } };
      this.#byName.set(name, { apiVersion, kind: savepointKind, metadata, spec });
    }
    return isNew;
  }

  async delete({ metadata: { name, uid } }: StoredFlinkSavepoint): Promise<void> {
    const before = this.#byName.get(name);
    if (before?.metadata.uid !== uid || before.metadata.deletionTimestamp !== undefined) {
      return;
    }
    if (before.metadata.finalizers.length === 0) {
      this.#byName.delete(name);
      return;
    }
    const deletionTimestamp = new Date(this.#clock.nowMs()).toISOString();
    this.#write({ ...before, metadata: { ...before.metadata, deletionTimestamp } });
  }

  async updateStatus(read: StoredFlinkSavepoint, status: FlinkSavepointStatus): Promise<StoredFlinkSavepoint> {
    return this.#write({ ...this.#unchanged(read), status });
  }

  async updateFinalizers(read: StoredFlinkSavepoint, finalizers: readonly string[]): Promise<StoredFlinkSavepoint | undefined> {
    const before = this.#unchanged(read);
    if (finalizers.length === 0 && before.metadata.deletionTimestamp !== undefined) {
      this.#byName.delete(before.metadata.name);
      return undefined;
    }
    return this.#write({ ...before, metadata: { ...before.metadata, finalizers: [...finalizers] } });
  }

  async watch(): Promise<void> {
    throw new Error('whoever uses this store says himself when to look');
  }

  #unchanged(read: StoredFlinkSavepoint): StoredFlinkSavepoint {
    const now = this.#byName.get(read.metadata.name);
    if (
      now === undefined ||
      now.metadata.uid !== read.metadata.uid ||
      now.metadata.resourceVersion !== read.metadata.resourceVersion
    ) {
      throw new StoreConflictError(`FlinkSavepoint ${read.metadata.name} was changed by somebody else`);
    }
    return now;
  }

  #write(savepoint: StoredFlinkSavepoint): StoredFlinkSavepoint {
    const resourceVersion = String(Number(savepoint.metadata.resourceVersion) + 1);
    const next = { ...savepoint, metadata: { ...savepoint.metadata, resourceVersion } };
    this.#byName.set(savepoint.metadata.name, next);
    return next;
  }
}
