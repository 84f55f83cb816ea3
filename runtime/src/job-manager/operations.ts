import type { OperationStatus } from '../api/rest.ts';
import { assert } from '../core/assert.ts';
import type { ErrorInfo } from '../core/job-error.ts';
import type { OperationOutcome } from '../core/lineage/entries.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { limits } from './limits.ts';

/**
 * What was asked of the job, by operation id, and what became of it (lineage protocol, rule 12). The lineage is the truth about outcomes; this is
 * its picture for status and REST, together with what is under way.
 */
export class Operations {
  /** In the order of their beginning. */
  readonly #byId = new Map<string, OperationStatus>();
  readonly #storageUrl: string;

  constructor(storageUrl: string) {
    this.#storageUrl = storageUrl;
  }

  find(operationId: string): OperationStatus | undefined {
    return this.#byId.get(operationId);
  }

  /** Newest last. */
  list(): readonly OperationStatus[] {
    return [...this.#byId.values()];
  }

  begin(operationId: string, type: OperationStatus['type']): OperationStatus {
    assert(!this.#byId.has(operationId), 'an operation begins once');
    const operation: OperationStatus = {
      ...{ operationId, type, state: 'InProgress' },
      ...{ checkpointId: undefined, location: undefined, error: undefined },
    };
    this.#set(operation);
    return operation;
  }

  /** Takes over what the lineage says of operations that it knows the outcome of. */
  settle(view: LineageView): void {
    for (const outcome of view.outcomes) {
      this.#set(this.#fromOutcome(outcome));
    }
  }

  /** For what has no outcome in the lineage, because repeating it changes nothing. */
  complete(operationId: string, result: { readonly checkpointId: number; readonly path: string }): void {
    const operation = this.#byId.get(operationId);
    if (operation !== undefined) {
      const location = `${this.#storageUrl}/${directoryOfManifest(result.path)}`;
      this.#set({ ...operation, state: 'Completed', checkpointId: result.checkpointId, location });
    }
  }

  /** For outcomes that could not be written, or of which there is nothing to write. */
  fail(operationId: string, error: ErrorInfo): void {
    const operation = this.#byId.get(operationId);
    if (operation?.state === 'InProgress') {
      this.#set({ ...operation, state: 'Failed', error });
    }
  }

  failAll(error: ErrorInfo): void {
    for (const { operationId } of this.#byId.values()) {
      this.fail(operationId, error);
    }
  }

  #fromOutcome({ operationId, operationType, result }: OperationOutcome): OperationStatus {
    if (result.state === 'Failed') {
      const { code, message } = result;
      const error: ErrorInfo = { code, message, domain: 'external', retry: 'backoff' };
      return { operationId, type: operationType, state: 'Failed', checkpointId: undefined, location: undefined, error };
    }
    const location = result.path === undefined ? undefined : `${this.#storageUrl}/${directoryOfManifest(result.path)}`;
    return {
      operationId,
      type: operationType,
      state: 'Completed',
      checkpointId: result.checkpointId,
      location,
      error: undefined,
    };
  }

  #set(operation: OperationStatus): void {
    this.#byId.set(operation.operationId, operation);
    for (const { operationId, state } of this.#byId.values()) {
      if (this.#byId.size > limits.operationCountMax && state !== 'InProgress') {
        this.#byId.delete(operationId);
      }
    }
  }
}
