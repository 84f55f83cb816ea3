import type { SavepointTaskResult } from '@flinkjob/runtime/process-config';
import type { OperationStatus } from '@flinkjob/runtime/rest';
import type { Engine, JobClient } from '../../src/engine/engine.ts';
import type { JobReference } from '../../src/platform/platform.ts';
import type { SavepointTaskFact, SavepointTaskRequest, SavepointTasks } from '../../src/platform/savepoint-tasks.ts';
import { documentWith } from './flink-job-builders.ts';
import { stubEngine } from './stub-engine.ts';

/**
 * What the controller of savepoints speaks to, without processes: one lineage, a JobManager that takes a savepoint in two looks, and tasks that answer at the
 * second look. Each keeps to its promise that an id is one operation, however often it is sent.
 */
export class PretendedSavepoints implements SavepointTasks {
  static readonly attempt = { number: 1, token: 'attempt-1' };
  readonly lineageUrl: string;
  /** Folders by the id of the operation that took them; and those that are gone. */
  readonly taken = new Map<string, string>();
  readonly gone = new Set<string>();
  /** The most that were being taken at one time. */
  mostAtOnce = 0;
  isUp = true;
  readonly #operations = new Map<string, OperationStatus>();
  readonly #tasks = new Map<string, { readonly request: SavepointTaskRequest; looks: number }>();

  constructor(lineageUrl: string) {
    this.lineageUrl = lineageUrl;
  }

  get engine(): Engine {
    return { ...stubEngine, client: () => this.#client() };
  }

  /** Types of the tasks that were begun, in their order. */
  get begun(): readonly string[] {
    return [...this.#tasks.values()].map(({ request }) => request.task.type);
  }

  async runSavepointTask(_job: JobReference, request: SavepointTaskRequest): Promise<void> {
    if (!this.#tasks.has(request.operationId)) {
      this.#tasks.set(request.operationId, { request, looks: 0 });
    }
  }

  async observeSavepointTasks(_job: JobReference, operationIds: readonly string[]): Promise<readonly SavepointTaskFact[]> {
    return operationIds.flatMap((operationId): readonly SavepointTaskFact[] => {
      const task = this.#tasks.get(operationId);
      if (task === undefined) {
        return [];
      }
      task.looks += 1;
      return task.looks < 2
        ? [{ operationId, state: 'Running' }]
        : [{ operationId, state: 'Answered', result: this.#answer(task.request) }];
    });
  }

  #answer({ task }: SavepointTaskRequest): SavepointTaskResult {
    switch (task.type) {
      case 'Find':
      case 'Import': {
        const location = this.#place(task.type === 'Import' ? task.token : 'closed');
        const kind = task.type === 'Import' ? 'Checkpoint' : 'Savepoint';
        return {
          ok: true,
          savepoint: { kind, location, checkpointId: 1, sizeBytes: 10, completedAtMs: 1, stateFormat: 'Native' },
        };
      }
      case 'Dispose':
        this.gone.add(task.location);
        return { ok: true, disposed: { isGone: true, deletedCount: 1, deletedSizeBytes: 10 } };
      case 'Drill':
        return this.gone.has(task.location)
          ? { ok: false, problem: { code: 'RestoreSourceGone', message: 'gone', remedy: undefined, retry: 'never' } }
          : { ok: true, drill: { operatorCount: 1, rowCount: 10, fileCount: 2, sizeBytes: 20 } };
    }
  }

  #place(operationId: string): string {
    const known =
      this.taken.get(operationId) ?? `${this.lineageUrl}/savepoints/${String(this.taken.size + 1).padStart(6, '0')}-e1`;
    this.taken.set(operationId, known);
    return known;
  }

  #client(): JobClient {
    const begin = (operationId: string, type: OperationStatus['type']) => {
      if (!this.isUp) {
        throw new Error('nobody answers');
      }
      if (!this.#operations.has(operationId)) {
        const unknown = { checkpointId: undefined, location: undefined, error: undefined };
        this.#operations.set(operationId, { operationId, type, state: 'InProgress', ...unknown });
      }
    };
    return {
      ...stubEngine.client('127.0.0.1:1', undefined),
      readStatus: async () => {
        if (!this.isUp) {
          throw new Error('nobody answers');
        }
        return this.#look();
      },
      savepoint: async (operationId) => begin(operationId, 'Savepoint'),
      releaseSavepoint: async (operationId, location) => {
        begin(operationId, 'Release');
        this.gone.add(location);
      },
    };
  }

  /** What was under way at the look before is done now. */
  #look() {
    const document = documentWith({
      ...{ state: 'Running', attempt: PretendedSavepoints.attempt },
      operations: [...this.#operations.values()],
    });
    const underWay = [...this.#operations.values()].filter(({ state }) => state === 'InProgress');
    this.mostAtOnce = Math.max(this.mostAtOnce, underWay.filter(({ type }) => type === 'Savepoint').length);
    for (const operation of underWay) {
      const taken = operation.type === 'Savepoint' ? { location: this.#place(operation.operationId), checkpointId: 1 } : {};
      this.#operations.set(operation.operationId, { ...operation, state: 'Completed', ...taken });
    }
    return document;
  }
}
