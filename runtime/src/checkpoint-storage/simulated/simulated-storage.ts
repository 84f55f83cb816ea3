import { readFile, writeFile } from 'node:fs/promises';
import type { Clock } from '../../core/clock.ts';
import type { CheckpointStorage, CopyResult, StoredObject } from '../checkpoint-storage.ts';
import { StorageError } from '../checkpoint-storage.ts';
import { checkObjectPath } from '../object-path.ts';
import type { SimulatedMedium } from './simulated-medium.ts';

/** How one request goes. */
export interface RequestFate {
  /** From the call to the effect on the medium. */
  readonly requestMs: number;
  /** From the effect to the answer. */
  readonly answerMs: number;
  readonly fault: StorageFault;
}

export type StorageFault =
  | 'None'
  /** No effect; the caller sees a time-out and cannot know. */
  | 'LostRequest'
  /** The caller sees a time-out; the effect comes long after. */
  | 'LateRequest'
  /** The effect happens; the caller sees a time-out. */
  | 'LostAnswer'
  /** The storage says no, surely without effect. */
  | 'Refused';

export type StorageOperation = 'put' | 'get' | 'list' | 'delete';

export interface SimulatedStorageOptions {
  readonly medium: SimulatedMedium;
  /** The network's: runs on while the caller's process is paused or dead. */
  readonly network: Clock;
  /** Brings an answer back to the caller's process; a dead or paused one does not hear it, or not yet. */
  readonly deliver: (answer: () => void) => void;
  readonly fate: (operation: StorageOperation, path: string) => RequestFate;
  /** Of the client, for the medium's events. */
  readonly name: string;
}

/** When a caller gives up waiting for an answer. */
const timeoutMs = 2_000;

/** A client of a medium on virtual time, with faults that its owner chooses. */
export class SimulatedStorage implements CheckpointStorage {
  readonly url = 'simulated:///lineage';
  readonly #options: SimulatedStorageOptions;

  constructor(options: SimulatedStorageOptions) {
    this.#options = options;
  }

  async putIfAbsent(path: string, bytes: Uint8Array): Promise<'Created' | 'Occupied'> {
    checkObjectPath(path);
    const copy = bytes.slice();
    return await this.#request('put', path, () => this.#options.medium.putIfAbsent(path, copy, this.#options.name));
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

  /** One request, of which the server makes a put. */
  async copyFrom(source: CheckpointStorage, path: string, to: string): Promise<CopyResult> {
    const { medium, name } = this.#options;
    if (!(source instanceof SimulatedStorage) || source.#options.medium !== medium) {
      return 'Unsupported';
    }
    checkObjectPath(path);
    checkObjectPath(to);
    return await this.#request('put', to, () => {
      const bytes = medium.get(path);
      return bytes === undefined ? 'Missing' : medium.putIfAbsent(to, bytes, name);
    });
  }

  async get(path: string): Promise<Uint8Array | undefined> {
    checkObjectPath(path);
    return await this.#request('get', path, () => this.#options.medium.get(path)?.slice());
  }

  async list(prefix: string, after?: string): Promise<readonly StoredObject[]> {
    return await this.#request('list', prefix, () => this.#options.medium.list(prefix, after));
  }

  async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      checkObjectPath(path);
    }
    // One request per name: a process may die between any two of them.
    for (const path of paths) {
      await this.#request('delete', path, () => this.#options.medium.delete(path, this.#options.name));
    }
  }

  #request<T>(operation: StorageOperation, path: string, effect: () => T): Promise<T> {
    const { network, deliver, fate } = this.#options;
    const { requestMs, answerMs, fault } = fate(operation, path);
    return new Promise<T>((resolve, reject) => {
      const timeOut = (): void => {
        network.schedule(timeoutMs, () => {
          deliver(() => reject(unanswered(operation, path)));
        });
      };
      switch (fault) {
        case 'None':
          network.schedule(requestMs, () => {
            const result = effect();
            network.schedule(answerMs, () => deliver(() => resolve(result)));
          });
          break;
        case 'Refused':
          network.schedule(requestMs + answerMs, () => deliver(() => reject(refusal(operation, path))));
          break;
        case 'LostRequest':
          timeOut();
          break;
        case 'LateRequest':
        case 'LostAnswer':
          network.schedule(requestMs, effect);
          timeOut();
          break;
      }
    });
  }
}

function unanswered(operation: StorageOperation, path: string): StorageError {
  // Reading has no effect, whatever became of the request.
  const outcome = operation === 'put' || operation === 'delete' ? 'Unknown' : 'NotApplied';
  return new StorageError(`${operation} ${path} was not answered in time`, { outcome, retryable: true });
}

function refusal(operation: StorageOperation, path: string): StorageError {
  return new StorageError(`${operation} ${path}: slow down`, { outcome: 'NotApplied', retryable: true });
}
