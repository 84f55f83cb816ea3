import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import type { Log } from '../log.ts';
import { isFencedError, type LineageLog } from './lineage-log.ts';

export interface HousekeepingPorts {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Every name that a checkpoint's manifest names, the manifest's own included. Throws a `JobError` when it cannot be read; then nothing
   * is deleted that it might name.
   */
  readonly namesOf: (record: CheckpointRecord) => Promise<readonly string[]>;
}

export interface HousekeepingOptions {
  readonly retain: number;
  readonly deleteGraceMs: number;
}

export interface HousekeepingFacts {
  /** Manifest paths that must stay although nothing retains them: the restore source while tasks may still read it. */
  readonly inUse: readonly string[];
  /** Own checkpoints with lower ids are completed or given up for good: the one in progress, or else the next id. */
  readonly settledBelowId: number;
  /** Also look for files that no checkpoint names; lists the whole directory. Once after the start, then now and then. */
  readonly sweep: boolean;
}

/**
 * Carries out what rules 8 and 16 of the lineage protocol plan, for a JobManager that has opened the lineage: condemn, wait, delete, renew,
 * trim. To be called after each completed checkpoint and now and then, never twice at a time. A failure of the storage is logged and
 * leaves the rest for the next time; a fenced error is thrown.
 */
export class LineageHousekeeping {
  readonly #log: LineageLog;
  readonly #rules: LineageRules;
  readonly #ports: HousekeepingPorts;
  readonly #options: HousekeepingOptions;
  /** By manifest path. */
  readonly #names = new Map<string, readonly string[]>();
  #trimmedTo = 0;

  constructor(log: LineageLog, rules: LineageRules, ports: HousekeepingPorts, options: HousekeepingOptions) {
    this.#log = log;
    this.#rules = rules;
    this.#ports = ports;
    this.#options = options;
  }

  async run(facts: HousekeepingFacts): Promise<void> {
    try {
      if (await this.#learnNames()) {
        await this.#condemnSubsumed(facts);
        if (facts.sweep) {
          await this.#condemnOrphans(facts);
        }
      }
      await this.#deleteCondemned();
      await this.#log.append((view) => this.#rules.renewal(view));
      await this.#trim();
    } catch (error) {
      if (!(error instanceof StorageError) && (!(error instanceof JobError) || isFencedError(error))) {
        throw error;
      }
      this.#ports.log.warn({ err: error }, 'cleaning up the checkpoint storage failed; it is tried again later');
    }
  }

  /** False when a manifest cannot be read: then nobody knows what is referenced. */
  async #learnNames(): Promise<boolean> {
    const records = this.#log.view.checkpoints;
    const paths = new Set(records.map((record) => record.manifest.path));
    for (const path of this.#names.keys()) {
      if (!paths.has(path)) {
        this.#names.delete(path);
      }
    }
    for (const record of records) {
      const { path } = record.manifest;
      if (!this.#names.has(path)) {
        try {
          this.#names.set(path, await this.#ports.namesOf(record));
        } catch (error) {
          this.#ports.log.warn({ err: error, path }, 'a manifest cannot be read; nothing is deleted until it can');
          return false;
        }
      }
    }
    return true;
  }

  async #condemnSubsumed({ inUse }: HousekeepingFacts): Promise<void> {
    await this.#log.append((view) => {
      // Checkpoints that appeared since the names were read wait for the next time.
      if (view.checkpoints.some((record) => !this.#names.has(record.manifest.path))) {
        return undefined;
      }
      const subsumed = this.#rules.subsumedCheckpoints(view, { retain: this.#options.retain, inUse });
      const names = this.#rules.namesToCondemn(view, subsumed, (record) => this.#names.get(record.manifest.path) ?? []);
      return names.length === 0 ? undefined : { type: 'Condemned', names };
    });
  }

  async #condemnOrphans({ settledBelowId }: HousekeepingFacts): Promise<void> {
    const epoch = this.#log.epoch;
    if (epoch === undefined) {
      return;
    }
    const objects = await this.#ports.storage.list('');
    await this.#log.append((view) => {
      if (view.checkpoints.some((record) => !this.#names.has(record.manifest.path))) {
        return undefined;
      }
      const waiting = new Set(view.condemnations.flatMap((entry) => (this.#isDeleted(entry.number) ? [] : entry.names)));
      const names = this.#rules
        .orphans({
          epoch,
          objects,
          settledBelowId,
          referenced: new Set([...this.#names.values()].flat()),
          nowMs: this.#ports.clock.nowMs(),
        })
        .filter((name) => !waiting.has(name));
      return names.length === 0 ? undefined : { type: 'Condemned', names };
    });
  }

  #isDeleted(entryNumber: number): boolean {
    return this.#log.deletedCondemnations.has(entryNumber);
  }

  async #deleteCondemned(): Promise<void> {
    const deletable = this.#rules.deletableCondemnations(this.#log.view, {
      nowMs: this.#ports.clock.monotonicMs(),
      graceMs: this.#options.deleteGraceMs,
      seenAtMs: this.#log.condemnedSeenAtMs,
      deletedEntries: this.#log.deletedCondemnations,
    });
    for (const { entryNumber, names } of deletable) {
      await this.#ports.storage.delete(names);
      this.#log.condemnedDeleted(entryNumber);
    }
  }

  async #trim(): Promise<void> {
    const { oldestNumber } = this.#log.view;
    if (oldestNumber > this.#trimmedTo) {
      await this.#log.deleteTrimmedEntries();
      this.#trimmedTo = oldestNumber;
    }
  }
}
