import { type FlinkJobKey, formatKey } from '../api/flink-job.ts';
import type { StoredFlinkSavepoint } from '../api/flink-savepoint.ts';
import type { DrillFact } from '../flink-job/restorable.ts';

/**
 * What the controller of savepoints tells that of the jobs: the newest drill of each. In memory, because both run in one process and the first pass after a start fills it again; what it
 * said last is in the status of the FlinkJob.
 */
export class DrillResults {
  readonly #newest = new Map<string, DrillFact | 'None'>();
  #onChange: (key: FlinkJobKey) => void = () => {};

  /** Undefined while the savepoints of that job have not been looked at. */
  of(key: FlinkJobKey): DrillFact | 'None' | undefined {
    return this.#newest.get(formatKey(key));
  }

  tell(key: FlinkJobKey, savepoints: readonly StoredFlinkSavepoint[]): void {
    const newest = newestDrill(savepoints) ?? 'None';
    const before = this.#newest.get(formatKey(key));
    this.#newest.set(formatKey(key), newest);
    if (JSON.stringify(before) !== JSON.stringify(newest)) {
      this.#onChange(key);
    }
  }

  forget(key: FlinkJobKey): void {
    this.#newest.delete(formatKey(key));
  }

  watch(onChange: (key: FlinkJobKey) => void): void {
    this.#onChange = onChange;
  }
}

/** Of savepoints that are there. One that was given up says nothing of the savepoint. Pure. */
export function newestDrill(savepoints: readonly StoredFlinkSavepoint[]): DrillFact | undefined {
  const ended = savepoints.flatMap(({ metadata, status }): DrillFact[] => {
    const { result, endedTime, problem } = status?.drill ?? {};
    if (status?.state !== 'Completed' || endedTime === undefined || result === undefined || result === 'GivenUp') {
      return [];
    }
    const why = result === 'Restorable' ? undefined : (problem?.message ?? 'it could not be read');
    return [{ savepoint: metadata.name, path: status.path, endedTime, problem: why }];
  });
  return ended.toSorted((a, b) => Date.parse(b.endedTime) - Date.parse(a.endedTime))[0];
}
