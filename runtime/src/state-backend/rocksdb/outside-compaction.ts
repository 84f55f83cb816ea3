import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { afterAllKeys, columnFamiliesWithRows, keyGroupBounds } from './key-layout.ts';
import type { NativeDatabase } from './native-binding.ts';

/**
 * After a change of parallelism files reach beyond the backend's key groups: what lies there is deleted, but only by a range deletion. Here such files are
 * written anew in the background, and no others, so that the next change of parallelism can bring the parts' files together as they are, and does not have to
 * copy rows. A failure costs that, nothing else, and it is tried again after the next snapshot.
 */
export class OutsideCompaction {
  readonly #database: NativeDatabase;
  readonly #keyGroups: KeyGroupRange;
  #attemptCount = 0;
  #isUnderWay = false;
  #isDone = false;
  #durationMs = 0;

  constructor(database: NativeDatabase, keyGroups: KeyGroupRange) {
    this.#database = database;
    this.#keyGroups = keyGroups;
  }

  /** Does nothing when it is done already, and little where no file reaches outside. */
  start(): void {
    if (!this.#isUnderWay && !this.#isDone && this.#attemptCount < attemptCountMax) {
      this.#isUnderWay = true;
      this.#attemptCount++;
      void this.#run();
    }
  }

  /** The failures are here because there is nobody to tell: what a full disk does to the state itself the next write says. */
  counters(): Readonly<Record<string, number>> {
    const failureCount = this.#attemptCount - (this.#isUnderWay || this.#isDone ? 1 : 0);
    return {
      outsideCompactionDone: this.#isDone ? 1 : 0,
      outsideCompactionFailures: failureCount,
      outsideCompactionMs: this.#durationMs,
    };
  }

  async #run(): Promise<void> {
    const startedAtMs = performance.now();
    try {
      await compactOutside(this.#database, this.#keyGroups);
      this.#isDone = true;
    } catch {
      // The database was closed, or its disk is full.
    } finally {
      this.#isUnderWay = false;
      this.#durationMs += performance.now() - startedAtMs;
    }
  }
}

/** Afterwards no file reaches outside; nothing to do where none did. */
export async function compactOutside(database: NativeDatabase, keyGroups: KeyGroupRange): Promise<void> {
  const { start, end } = keyGroupBounds(keyGroups);
  for (const columnFamily of columnFamiliesWithRows) {
    await database.compactRange(columnFamily, beforeAllKeys, start);
    await database.compactRange(columnFamily, end, afterAllKeys);
  }
}

const beforeAllKeys = new Uint8Array(0);
const attemptCountMax = 3;
