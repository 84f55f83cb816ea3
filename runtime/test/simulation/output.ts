import type { FencingToken } from '../../src/core/fencing-token.ts';

export interface OutputRecord {
  readonly key: string;
  readonly count: number;
}

export interface PendingOutput {
  readonly token: FencingToken;
  readonly checkpointId: number;
  readonly records: readonly OutputRecord[];
}

/**
 * What a transactional sink writes to: outside the job, durable, and seen by all. Pending output becomes committed once, whoever asks for it
 * and how often.
 */
export class Output {
  readonly #pending = new Map<string, PendingOutput>();
  readonly #committedNames = new Set<string>();
  readonly committed: { readonly name: string; readonly output: PendingOutput }[] = [];
  readonly #onCommit: (name: string) => void;

  constructor(onCommit: (name: string) => void) {
    this.#onCommit = onCommit;
  }

  writePending(name: string, output: PendingOutput): void {
    this.#pending.set(name, output);
  }

  /** Returns whether the output is committed now; false when nobody knows of it. */
  commit(name: string): boolean {
    if (this.#committedNames.has(name)) {
      return true;
    }
    const output = this.#pending.get(name);
    if (output === undefined) {
      return false;
    }
    this.#onCommit(name);
    this.#pending.delete(name);
    this.#committedNames.add(name);
    this.committed.push({ name, output });
    return true;
  }

  isCommitted(name: string): boolean {
    return this.#committedNames.has(name);
  }
}
