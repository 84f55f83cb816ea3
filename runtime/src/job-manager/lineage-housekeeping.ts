import type { CheckpointStorage, StoredObject } from '../checkpoint-storage/checkpoint-storage.ts';
import { StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import type { Clock } from '../core/clock.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { type LeakedObjects, leakedObjects } from '../core/lineage/leaked-objects.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import type { LineageView } from '../core/lineage/view.ts';
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
  /** Gives those of the names that no TaskManager will ever name again; those that are not sure wait. Never rejects. */
  readonly forget: (names: readonly string[]) => Promise<ReadonlySet<string>>;
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
  /** What the acknowledgements of a checkpoint name whose fate is open. Asked when something is about to be condemned. */
  readonly namesInFlight: () => ReadonlySet<string>;
  /** See `ForgettingFacts`; asked then too. */
  readonly lostAttemptMax: () => number;
  /**
   * The job is over, and no task of it can write, read or name anything here any more, so that the grace period has nobody left to protect
   * (docs/lineage.md, rule 8).
   */
  readonly isQuiet: boolean;
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
  /** Manifest paths of checkpoints that may go, and whose manifests are lost: what they alone named is found by a sweep. */
  readonly #lost = new Set<string>();
  /** Names that nothing in the lineage names, and that a TaskManager may still name. */
  #waiting: ReadonlySet<string> = new Set();
  #trimmedTo = 0;
  #leak: LeakedObjects | undefined;

  constructor(log: LineageLog, rules: LineageRules, ports: HousekeepingPorts, options: HousekeepingOptions) {
    this.#log = log;
    this.#rules = rules;
    this.#ports = ports;
    this.#options = options;
  }

  /** Whether there are names that nothing names any more, and that may not be condemned yet. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** As of the last sweep; undefined before the first. */
  get leak(): LeakedObjects | undefined {
    return this.#leak;
  }

  async run(facts: HousekeepingFacts): Promise<void> {
    try {
      if (await this.#learnNames(facts)) {
        await this.#condemn(facts);
      }
      await this.#deleteCondemned(facts);
      await this.#log.append((view) => this.#rules.renewal(view));
      await this.#trim();
    } catch (error) {
      if (!(error instanceof StorageError) && (!(error instanceof JobError) || isFencedError(error))) {
        throw error;
      }
      this.#ports.log.warn({ err: error }, 'cleaning up the checkpoint storage failed; it is tried again later');
    }
  }

  /** False when a manifest that stays cannot be read: then nobody knows what is referenced. */
  async #learnNames(facts: HousekeepingFacts): Promise<boolean> {
    const records = this.#log.view.checkpoints;
    const mayGo = this.#subsumedPaths(this.#log.view, facts);
    this.#lost.clear();
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
          if (!mayGo.has(path) || !(error instanceof JobError) || error.retry !== 'never') {
            this.#ports.log.warn({ err: error, path }, 'a manifest cannot be read; nothing is deleted until it can');
            return false;
          }
          this.#lost.add(path);
        }
      }
    }
    return true;
  }

  /** One entry for all that may go now. */
  async #condemn(facts: HousekeepingFacts): Promise<void> {
    const { epoch } = this.#log;
    if (epoch === undefined) {
      return;
    }
    const objects = facts.sweep ? await this.#ports.storage.list('') : [];
    const found = this.#candidates(this.#log.view, epoch, facts, objects);
    const condemnedSinceMs = this.#condemnedSinceMs();
    // Kept in mind before anything is waited for: what a sweep has found must not wait for the next one.
    this.#waiting = new Set(found);
    const asked = this.#rules.namesToAsk(found);
    const forgotten = asked.length === 0 ? new Set<string>() : await this.#ports.forget(asked);
    await this.#log.append((view) => {
      // Checkpoints that appeared since the names were read wait for the next time, as do those that were lost and are to stay now.
      const mayGo = this.#subsumedPaths(view, facts);
      if (
        view.checkpoints.some(({ manifest: { path } }) => !this.#names.has(path) && !(this.#lost.has(path) && mayGo.has(path)))
      ) {
        return undefined;
      }
      const candidates = this.#candidates(view, epoch, facts, objects);
      const names = this.#rules.condemnableNames(candidates, {
        epoch,
        forgotten,
        inFlight: facts.namesInFlight(),
        lostAttemptMax: facts.lostAttemptMax(),
      });
      const going = new Set(names);
      this.#waiting = new Set(candidates.filter((name) => !going.has(name)));
      return names.length === 0 ? undefined : { type: 'Condemned', names };
    });
    if (facts.sweep) {
      this.#measureLeak({ objects, orphans: new Set(found), condemnedSinceMs }, facts);
    }
  }

  /** What no checkpoint names that stays: names of subsumed ones, what waits since an earlier time, and orphans among `objects`. */
  #candidates(
    view: LineageView,
    epoch: number,
    { inUse, settledBelowId }: HousekeepingFacts,
    objects: readonly StoredObject[],
  ): readonly string[] {
    const namesOf = ({ manifest: { path } }: CheckpointRecord) => this.#names.get(path) ?? (this.#lost.has(path) ? [path] : []);
    const subsumed = this.#rules.subsumedCheckpoints(view, { retain: this.#options.retain, inUse });
    const referenced = new Set(view.checkpoints.flatMap(namesOf));
    const condemned = new Set(view.condemnations.flatMap((entry) => (this.#isDeleted(entry.number) ? [] : entry.names)));
    const names = new Set([
      ...this.#rules.namesToCondemn(view, subsumed, namesOf),
      ...[...this.#waiting].filter((name) => !referenced.has(name)),
      ...this.#rules.orphans({ epoch, objects, settledBelowId, referenced, nowMs: this.#ports.clock.nowMs() }),
    ]);
    return [...names].filter((name) => !condemned.has(name)).sort();
  }

  #subsumedPaths(view: LineageView, { inUse }: HousekeepingFacts): ReadonlySet<string> {
    const subsumed = this.#rules.subsumedCheckpoints(view, { retain: this.#options.retain, inUse });
    return new Set(subsumed.map(({ manifest }) => manifest.path));
  }

  #condemnedSinceMs(): ReadonlyMap<string, number> {
    const { view, condemnedSeenAtMs } = this.#log;
    const nowMs = this.#ports.clock.monotonicMs();
    const entries = view.condemnations.filter(({ number }) => !this.#isDeleted(number));
    return new Map(entries.flatMap(({ number, names }) => names.map((name) => [name, condemnedSeenAtMs.get(number) ?? nowMs])));
  }

  /** Of what was there before this sweep condemned anything; what waits for a TaskManager's answer is accounted for. */
  #measureLeak(
    swept: Pick<Parameters<typeof leakedObjects>[0], 'objects' | 'orphans' | 'condemnedSinceMs'>,
    facts: HousekeepingFacts,
  ): void {
    const { clock } = this.#ports;
    const accounted = new Set([...[...this.#names.values()].flat(), ...facts.namesInFlight(), ...this.#waiting]);
    this.#leak = leakedObjects({
      ...{ ...swept, accounted, graceMs: this.#options.deleteGraceMs },
      ...{ nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() },
    });
  }

  #isDeleted(entryNumber: number): boolean {
    return this.#log.deletedCondemnations.has(entryNumber);
  }

  async #deleteCondemned({ isQuiet }: HousekeepingFacts): Promise<void> {
    const deletable = this.#rules.deletableCondemnations(this.#log.view, {
      nowMs: this.#ports.clock.monotonicMs(),
      graceMs: isQuiet ? 0 : this.#options.deleteGraceMs,
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
