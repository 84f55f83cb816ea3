import type { StoredObject } from '../checkpoint-storage.ts';

/** What happened to the medium, at the moment it happened; for oracles. */
export type MediumEvent =
  | { readonly type: 'Put'; readonly path: string; readonly bytes: Uint8Array; readonly by: string }
  | { readonly type: 'Deleted'; readonly path: string; readonly by: string };

/** The objects themselves: shared by all clients, outlives every process, changes at single moments. */
export class SimulatedMedium {
  readonly #objects = new Map<string, { readonly bytes: Uint8Array; readonly modifiedAtMs: number }>();
  readonly #nowMs: () => number;
  readonly #onEvent: (event: MediumEvent) => void;

  constructor(nowMs: () => number, onEvent: (event: MediumEvent) => void = () => {}) {
    this.#nowMs = nowMs;
    this.#onEvent = onEvent;
  }

  putIfAbsent(path: string, bytes: Uint8Array, by: string): 'Created' | 'Occupied' {
    if (this.#objects.has(path)) {
      return 'Occupied';
    }
    this.#objects.set(path, { bytes, modifiedAtMs: this.#nowMs() });
    this.#onEvent({ type: 'Put', path, bytes, by });
    return 'Created';
  }

  get(path: string): Uint8Array | undefined {
    return this.#objects.get(path)?.bytes;
  }

  list(prefix: string, after = ''): readonly StoredObject[] {
    const found: StoredObject[] = [];
    for (const [path, { bytes, modifiedAtMs }] of this.#objects) {
      if (path > after && path.startsWith(prefix)) {
        found.push({ path, sizeBytes: bytes.byteLength, modifiedAtMs });
      }
    }
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  delete(path: string, by: string): void {
    if (this.#objects.delete(path)) {
      this.#onEvent({ type: 'Deleted', path, by });
    }
  }
}
