import { createHash } from 'node:crypto';
import type { MediumEvent } from '../../src/checkpoint-storage/simulated/simulated-medium.ts';
import type { CheckpointManifest } from '../../src/core/checkpoint/manifest.ts';
import type { CompletedEntry, CondemnedEntry, LineageEntry, OpenedEntry } from '../../src/core/lineage/entries.ts';
import { parseEntry } from '../../src/core/lineage/entries.ts';
import type { JobManagerMessage, TaskManagerMessage } from '../../src/core/protocol/messages.ts';
import { expectedCounts, readModelState } from './model-state.ts';
import type { Output } from './output.ts';

interface KnownCheckpoint {
  readonly entry: CompletedEntry;
  /** Every object it names, its manifest included. */
  readonly names: readonly string[];
  readonly committables: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
}

/** A stretch of the job's life between two starts that were told in words what to start from. */
interface Era {
  readonly firstEpoch: number;
  readonly base: ReadonlyMap<string, number>;
}

export interface OracleOptions {
  readonly read: (path: string) => Uint8Array | undefined;
  readonly list: () => readonly { readonly path: string; readonly modifiedAtMs: number }[];
  readonly nowMs: () => number;
  readonly graceMs: number;
  /** Some TaskManager has tasks of this epoch or an earlier one that can still read or write. */
  readonly hasTasksUpTo: (epoch: number) => boolean;
  /** Clocks of writers differ by so much at most. */
  readonly skewMaxMs: number;
  readonly recordsPerSplit: number;
  readonly report: (violation: string) => void;
}

/**
 * Watches the medium and the output, and knows nothing of how the JobManager decides: it keeps its own, much simpler idea of the log. What it
 * holds true are the promises one writer, exactly once, never silently empty, one truth, and nothing leaks.
 */
export class Oracle {
  readonly #options: OracleOptions;
  readonly #entries: LineageEntry[] = [];
  readonly #completed: KnownCheckpoint[] = [];
  readonly #condemned = new Map<string, { readonly seenAtMs: number; readonly epoch: number }>();
  readonly #honoured = new Set<string>();
  /** Newest completed of this era, or what the era began with. */
  #head: KnownCheckpoint | undefined;
  #epoch = 0;
  #opened: OpenedEntry | undefined;
  /** In the order of their opening. */
  readonly #podsByAttempt = new Map<number, string[]>();
  #stopping: { readonly deadlineMs: number; readonly operationId: string } | undefined;
  /** A JobManager has opened after `Stopping`: it may only finish the stop. */
  #isFinishing = false;
  #closed: { readonly reason: string; readonly attempt: number } | undefined;
  readonly #eras: Era[] = [];
  /** `<epoch>/<id>`: checkpoints that a JobManager has told its tasks to be given up. */
  readonly #abortedCheckpoints = new Set<string>();

  constructor(options: OracleOptions) {
    this.#options = options;
  }

  get closed(): { readonly reason: string; readonly attempt: number } | undefined {
    return this.#closed;
  }

  get attempt(): number {
    return this.#opened?.attempt.number ?? 0;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  get headNumber(): number {
    return this.#entries.at(-1)?.number ?? 0;
  }

  /** Folders of checkpoints that somebody may ask to restore. */
  restorable(): readonly string[] {
    return this.#completed
      .filter(({ entry }) => !this.#condemned.has(entry.manifest.path))
      .map(({ entry }) => entry.manifest.path.replace('/_metadata', ''));
  }

  observe(event: MediumEvent): void {
    if (event.type === 'Deleted') {
      this.#deleted(event.path);
    } else if (event.path.startsWith('lineage/')) {
      this.#appended(parseEntry(event.bytes, event.path));
    } else if (this.#condemned.has(event.path) && this.#isReferenced(event.path)) {
      this.#violation(`${event.path} was written again after it was condemned`);
    }
  }

  /** What a JobManager tells its tasks must be what the log says, and stay so. */
  said(message: JobManagerMessage | TaskManagerMessage): void {
    if (message.type === 'CheckpointCompleted' && !this.#isCompleted(message.token.epoch, message.checkpointId)) {
      this.#violation(`tasks were told to commit checkpoint ${message.checkpointId}, which is not completed`);
    }
    if (message.type === 'CheckpointAborted') {
      this.#abortedCheckpoints.add(`${message.token.epoch}/${message.checkpointId}`);
      if (this.#isCompleted(message.token.epoch, message.checkpointId)) {
        this.#violation(`tasks were told that checkpoint ${message.checkpointId} was given up, and it is completed`);
      }
    }
  }

  /** Promise 2: only what some completed checkpoint holds may be committed. */
  committing(name: string): void {
    if (!this.#completed.some(({ committables }) => committables.includes(name))) {
      this.#violation(`output ${name} was committed, and no completed checkpoint holds it`);
    }
  }

  finish(output: Output): void {
    this.#checkOutput(output);
    this.#checkGarbage();
  }

  #appended(entry: LineageEntry): void {
    const head = this.#entries.at(-1)?.number ?? 0;
    if (entry.number <= head) {
      // The late write of a sleeper, where the log was trimmed long ago; rule 3 makes it nothing.
      return;
    }
    if (entry.number !== head + 1) {
      this.#violation(`entry ${entry.number} leaves a hole after ${head}`);
    }
    this.#entries.push(entry);
    if (entry.type !== 'Opened' && entry.epoch !== this.#epoch) {
      this.#violation(
        `${entry.type} ${entry.number} was appended by epoch ${entry.epoch} after ${this.#epoch} had opened: two writers`,
      );
    }
    switch (entry.type) {
      case 'Opened':
        this.#openedBy(entry);
        break;
      case 'Completed':
        this.#completedBy(entry);
        break;
      case 'Condemned':
        this.#condemnedBy(entry);
        break;
      case 'Outcome':
        if (entry.result.state === 'Failed' && this.#completed.some((known) => known.entry.operationId === entry.operationId)) {
          this.#violation(`operation ${entry.operationId} is called failed, and its savepoint is completed`);
        }
        break;
      case 'Stopping':
        if (this.#closed !== undefined) {
          this.#violation('a stop was begun after the lineage was closed');
        }
        this.#stopping = entry;
        break;
      case 'StopAborted':
        this.#stopping = undefined;
        this.#isFinishing = false;
        break;
      case 'Closed':
        if (this.#head?.entry.checkpointId !== entry.checkpointId) {
          this.#violation(`Closed names checkpoint ${entry.checkpointId}, the newest is ${this.#head?.entry.checkpointId}`);
        }
        this.#stopping = undefined;
        this.#isFinishing = false;
        this.#closed = { reason: entry.reason, attempt: this.attempt };
        break;
      default:
    }
  }

  #openedBy(entry: OpenedEntry): void {
    if (entry.renewal) {
      if (entry.epoch !== this.#epoch) {
        this.#violation(`renewal by epoch ${entry.epoch}, the lineage is at ${this.#epoch}`);
      }
      return;
    }
    const { number } = entry.attempt;
    if (entry.epoch <= this.#epoch) {
      this.#violation(`epoch ${entry.epoch} was opened after ${this.#epoch}`);
    }
    if (number < this.attempt) {
      this.#violation(`attempt ${number} opened after ${this.attempt}`);
    }
    if (this.#closed?.attempt === number) {
      this.#violation(`attempt ${number} opened again after it was Closed`);
    }
    const pods = this.#podsByAttempt.get(number) ?? [];
    if (pods.includes(entry.podUid) && pods.at(-1) !== entry.podUid) {
      this.#violation(`pod ${entry.podUid} opened again after ${pods.at(-1)} had taken over in attempt ${number}`);
    }
    this.#podsByAttempt.set(number, [...pods, entry.podUid]);
    this.#epoch = entry.epoch;
    this.#opened = entry;
    this.#closed = undefined;
    this.#checkRestored(entry);
    if (this.#stopping !== undefined && this.#options.nowMs() < this.#stopping.deadlineMs - this.#options.skewMaxMs) {
      this.#isFinishing = true;
    }
  }

  #checkRestored(entry: OpenedEntry): void {
    const { restored, restoreToken } = entry;
    const requested = restored.reason === 'RequestedNone' || restored.reason === 'Requested';
    if (requested) {
      if (restoreToken === undefined || this.#honoured.has(restoreToken)) {
        this.#violation(`restore request ${restoreToken} was honoured twice`);
      }
      this.#honoured.add(restoreToken ?? '');
      this.#head = this.#completed.find((known) => known.entry.manifest.path === restored.path);
      if (restored.reason === 'Requested' && this.#head === undefined) {
        this.#violation(`restored ${restored.path}, which was never completed`);
      }
    } else if (restored.path !== this.#head?.entry.manifest.path) {
      const newest = this.#head?.entry.manifest.path ?? 'nothing';
      this.#violation(`epoch ${entry.epoch} restored ${restored.path ?? 'nothing'}, the newest completed is ${newest}`);
    }
    if (requested || this.#eras.length === 0) {
      this.#eras.push({ firstEpoch: entry.epoch, base: this.#head?.counts ?? new Map() });
    }
    for (const name of this.#head?.names ?? []) {
      if (this.#options.read(name) === undefined) {
        this.#violation(`epoch ${entry.epoch} restores ${this.#head?.entry.manifest.path}, whose ${name} is gone`);
      }
    }
  }

  #completedBy(entry: CompletedEntry): void {
    const { path, sizeBytes, sha256 } = entry.manifest;
    if (this.#closed !== undefined) {
      this.#violation(`checkpoint ${entry.checkpointId} was completed after the lineage was closed`);
    }
    if (this.#abortedCheckpoints.has(`${entry.epoch}/${entry.checkpointId}`)) {
      this.#violation(`checkpoint ${entry.checkpointId} was completed after its tasks had been told that it was given up`);
    }
    if (this.#completed.some((known) => known.entry.checkpointId === entry.checkpointId)) {
      this.#violation(`checkpoint id ${entry.checkpointId} was completed twice`);
    }
    const bytes = this.#options.read(path);
    const { operationId } = entry;
    if (operationId !== undefined && this.#completed.some((known) => known.entry.operationId === operationId)) {
      this.#violation(`operation ${operationId} completed a second checkpoint, ${entry.checkpointId}`);
    }
    if (bytes === undefined || bytes.byteLength !== sizeBytes || createHash('sha256').update(bytes).digest('hex') !== sha256) {
      this.#violation(`checkpoint ${entry.checkpointId} was completed, and its manifest ${path} is missing or another`);
      return;
    }
    const known = this.#know(entry, JSON.parse(new TextDecoder().decode(bytes)) as CheckpointManifest);
    const stop = this.#stopping?.operationId;
    if (this.#isFinishing && (entry.operationId !== stop || this.#head?.entry.operationId === stop)) {
      this.#violation(`epoch ${entry.epoch} should only have finished the stop ${stop}, and completed ${entry.checkpointId}`);
    }
    this.#completed.push(known);
    this.#head = known;
  }

  #know(entry: CompletedEntry, manifest: CheckpointManifest): KnownCheckpoint {
    const { names: files, counts, problems } = readModelState(manifest, this.#options.read);
    const names = [entry.manifest.path, ...files];
    for (const problem of problems) {
      this.#violation(`checkpoint ${entry.checkpointId} was completed, and ${problem}`);
    }
    for (const name of names) {
      if (this.#condemned.has(name)) {
        this.#violation(`checkpoint ${entry.checkpointId} names ${name}, which was condemned before`);
      }
    }
    return {
      entry,
      names,
      committables: manifest.operators.flatMap(({ committables }) => committables ?? []).map(({ data }) => String(data)),
      counts,
    };
  }

  #condemnedBy(entry: CondemnedEntry): void {
    for (const name of entry.names) {
      if (this.#head?.names.includes(name)) {
        this.#violation(`${name} of the newest checkpoint was condemned`);
      }
      if (!this.#condemned.has(name)) {
        this.#condemned.set(name, { seenAtMs: this.#options.nowMs(), epoch: entry.epoch });
      }
    }
  }

  #deleted(path: string): void {
    if (path.startsWith('probe/')) {
      return;
    }
    if (path.startsWith('lineage/')) {
      const number = Number(path.slice('lineage/'.length, -'.json'.length));
      const oldest = this.#entries.at(-1)?.oldestNumber ?? 1;
      if (number >= oldest) {
        this.#violation(`entry ${number} was deleted, and the log says that it begins at ${oldest}`);
      }
      return;
    }
    const condemned = this.#condemned.get(path);
    if (condemned === undefined) {
      this.#violation(`${path} was deleted and never condemned`);
    } else if (
      // Tasks of a later epoch know nothing of it: it was condemned before their epoch began.
      this.#options.nowMs() - condemned.seenAtMs < this.#options.graceMs &&
      this.#options.hasTasksUpTo(condemned.epoch)
    ) {
      this.#violation(`${path} was deleted before its grace period was over, and tasks are at work`);
    }
  }

  #isCompleted(epoch: number, checkpointId: number): boolean {
    return this.#completed.some(({ entry }) => entry.epoch === epoch && entry.checkpointId === checkpointId);
  }

  #isReferenced(path: string): boolean {
    return this.#completed.some(({ entry, names }) => names.includes(path) && !this.#condemned.has(entry.manifest.path));
  }

  /** Promise 3, per era: what was committed of each key counts up from where the era began, without gap or repetition. */
  #checkOutput(output: Output): void {
    const counts = new Map(this.#eras.map((era) => [era, new Map(era.base)]));
    for (const { name, output: pending } of output.committed) {
      const era = this.#eras.findLast(({ firstEpoch }) => firstEpoch <= pending.token.epoch);
      const current = era === undefined ? undefined : counts.get(era);
      if (current === undefined) {
        this.#violation(`output ${name} belongs to no epoch that was opened`);
        continue;
      }
      for (const { key, count } of pending.records) {
        const before = current.get(key) ?? 0;
        if (count !== before + 1) {
          this.#violation(`committed output of ${key} goes from ${before} to ${count} (in ${name})`);
        }
        current.set(key, count);
      }
    }
    const last = this.#eras.at(-1);
    const reached = last === undefined ? undefined : counts.get(last);
    for (const [key, count] of expectedCounts(() => this.#options.recordsPerSplit)) {
      if ((reached?.get(key) ?? 0) !== count) {
        this.#violation(`committed output of ${key} ends at ${reached?.get(key) ?? 0}, a run without faults ends at ${count}`);
      }
    }
  }

  /** Promise 8: an object is an entry, named by a checkpoint that stays, condemned and waiting, or a leftover that the next sweep may take. */
  #checkGarbage(): void {
    const oldest = this.#entries.at(-1)?.oldestNumber ?? 1;
    for (const { path } of this.#options.list()) {
      if (path.startsWith('lineage/')) {
        const number = Number(path.slice('lineage/'.length, -'.json'.length));
        if (number >= oldest && number > this.headNumber) {
          this.#violation(`entry ${number} lies above the head`);
        }
      } else if (!this.#isReferenced(path) && !this.#condemned.has(path) && !this.#isSweepable(path)) {
        this.#violation(`${path} is named by nothing and will never be removed`);
      }
    }
    const retained = this.#completed.filter(({ entry }) => !this.#condemned.has(entry.manifest.path));
    for (const { entry, names } of retained) {
      for (const name of names) {
        if (this.#options.read(name) === undefined) {
          this.#violation(`${name} of the retained checkpoint ${entry.checkpointId} is gone`);
        }
      }
    }
  }

  #isSweepable(path: string): boolean {
    const epoch = /(?:-e(\d+)\/|^shared\/e(\d+)-)/
      .exec(path)
      ?.slice(1)
      .find((digits) => digits !== undefined);
    return path.startsWith('probe/') || (epoch !== undefined && Number(epoch) <= this.#epoch);
  }

  #violation(text: string): void {
    this.#options.report(text);
  }
}
