import { readFile, writeFile } from 'node:fs/promises';
import {
  type CheckpointStorage,
  type CopyResult,
  StorageError,
  type StoredObject,
} from '../../src/checkpoint-storage/checkpoint-storage.ts';

/** What the next calls meet; `once` heals by itself. */
export interface StorageFault {
  readonly operation: 'put' | 'get' | 'list' | 'delete';
  /** The path contains it. */
  readonly path: string;
  readonly outcome: 'NotApplied' | 'Unknown';
  readonly retryable: boolean;
  readonly mayHeal?: boolean;
  readonly once?: boolean;
}

/** A storage in memory that answers at once, or holds its answers, or fails as told. */
export class MemoryStorage implements CheckpointStorage {
  readonly url: string;
  readonly objects = new Map<string, Uint8Array>();
  faults: StorageFault[] = [];
  #held: { readonly operation: 'put' | 'get'; readonly path: string; readonly promise: Promise<void> } | undefined;

  constructor(url = 'memory:///lineage') {
    this.url = url;
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<'Created' | 'Occupied'> {
    await this.#waitIfHeld('put', path);
    this.#meetFault('put', path);
    if (this.objects.has(path)) {
      return 'Occupied';
    }
    this.objects.set(path, bytes.slice());
    return 'Created';
  }

  async putFileIfAbsent(path: string, file: string): Promise<'Created' | 'Occupied'> {
    return await this.putIfAbsent(path, await readFile(file));
  }

  async getFile(path: string, file: string): Promise<'Created' | 'Missing'> {
    const bytes = await this.get(path);
    if (bytes === undefined) {
      return 'Missing';
    }
    await writeFile(file, bytes, { flag: 'wx' });
    return 'Created';
  }

  async copyFrom(source: CheckpointStorage, path: string, to: string): Promise<CopyResult> {
    if (!(source instanceof MemoryStorage)) {
      return 'Unsupported';
    }
    const bytes = await source.get(path);
    return bytes === undefined ? 'Missing' : await this.putIfAbsent(to, bytes);
  }

  async get(path: string): Promise<Uint8Array | undefined> {
    await this.#waitIfHeld('get', path);
    this.#meetFault('get', path);
    return this.objects.get(path);
  }

  async list(prefix: string, after = ''): Promise<readonly StoredObject[]> {
    this.#meetFault('list', prefix);
    return [...this.objects]
      .filter(([path]) => path.startsWith(prefix) && path > after)
      .map(([path, { byteLength }]) => ({ path, sizeBytes: byteLength, modifiedAtMs: 0 }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      this.#meetFault('delete', path);
      this.objects.delete(path);
    }
  }

  /** The next put, or get, whose path contains this waits for the returned function. */
  hold(path: string, operation: 'put' | 'get' = 'put'): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = { operation, path, promise };
    return resolve;
  }

  text(path: string): string {
    return new TextDecoder().decode(this.objects.get(path));
  }

  paths(prefix: string): readonly string[] {
    return [...this.objects.keys()].filter((path) => path.startsWith(prefix)).sort();
  }

  /** Lineage entries in order. */
  entries(): readonly { readonly type: string; readonly [field: string]: unknown }[] {
    return this.paths('lineage/').map((path) => JSON.parse(this.text(path)));
  }

  async #waitIfHeld(operation: 'put' | 'get', path: string): Promise<void> {
    const held = this.#held;
    if (held?.operation === operation && path.includes(held.path)) {
      this.#held = undefined;
      await held.promise;
    }
  }

  #meetFault(operation: StorageFault['operation'], path: string): void {
    const fault = this.faults.find((candidate) => candidate.operation === operation && path.includes(candidate.path));
    if (fault !== undefined) {
      this.faults = fault.once ? this.faults.filter((other) => other !== fault) : this.faults;
      throw new StorageError(`${operation} ${path}: as told`, fault);
    }
  }
}
