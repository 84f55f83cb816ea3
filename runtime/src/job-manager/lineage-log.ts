import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import { assert } from '../core/assert.ts';
import { type Clock, sleep } from '../core/clock.ts';
import { type ErrorInfo, JobError } from '../core/job-error.ts';
import type { EntryDraft, LineageEntry, OpenedEntry } from '../core/lineage/entries.ts';
import { encodeEntry, lineageFormat, parseEntry } from '../core/lineage/entries.ts';
import { entriesOfLog } from '../core/lineage/housekeeping.ts';
import { firstNumberOfLog, highestIsland } from '../core/lineage/island.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { entryNumberOf, entryPath, lineageFolder } from '../core/lineage/object-paths.ts';
import type { OpenDecision, OpenRequest } from '../core/lineage/open.ts';
import type { LineageView } from '../core/lineage/view.ts';
import { applyEntry, emptyView, foldEntries } from '../core/lineage/view.ts';
import type { Log } from '../log.ts';

export interface LineageLogPorts {
  /** Rooted at the lineage's directory. */
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
  readonly nonce: () => string;
  readonly log: Log;
}

/** Between tries of a put whose outcome is unknown, or of a read; doubles from the first to the last. */
const retryDelayFirstMs = 50;
const retryDelayMaxMs = 5_000;
/** Tries of a read before the caller hears of it. */
const readTriesMax = 5;
/** How many times the log may be trimmed or grow under a reader before it gives up. */
const reloadTriesMax = 30;
/** Entries read at the same time. */
const readConcurrency = 16;

const fencedCode = 'Fenced';

type Unsettled = Pick<ErrorInfo, 'code' | 'message' | 'remedy'>;

/** What may be said about a lineage without having opened it. */
type Annotation = Extract<EntryDraft, { readonly type: 'Pinned' | 'Unpinned' | 'SavepointReleased' | 'Condemned' }>;

/** A newer JobManager has opened the lineage: whoever gets this stops, and everything under it. */
export function isFencedError(error: unknown): error is JobError {
  return error instanceof JobError && error.code === fencedCode;
}

/**
 * An entry is in the log, or may be, and the log cannot be read. Not a `JobError`, because those say that an entry is surely not there: the
 * JobManager has to end without a word, and its successor reads what is true.
 */
export class UnsettledAppendError extends Error {
  override readonly name = 'UnsettledAppendError';
}

/**
 * The lineage log over a storage: appends (rules 1 to 3 of the lineage protocol) and a view that follows the head. All decisions are
 * `LineageRules`; this class only puts, gets, lists and waits.
 *
 * 1. Calls are served one after another; an append whose outcome is unknown holds up all others until it is settled.
 * 2. `view` changes only by entries read back from, or surely written to, the log.
 * 3. After a fenced error nothing is appended any more.
 */
export class LineageLog {
  readonly #ports: LineageLogPorts;
  readonly #rules: LineageRules;
  #view: LineageView = emptyView;
  #entries: readonly LineageEntry[] = [];
  #epoch: number | undefined;
  #fenced: JobError | undefined;
  /** A put has been sent and it is not known what came of it: reads that would tell are repeated for ever. */
  #isSettling = false;
  /** Why that takes long. The first reason stays: later ones differ in nothing but the request. */
  #unsettled: Unsettled | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #condemnedSeenAtMs = new Map<number, number>();
  readonly #deletedCondemnations = new Set<number>();

  private constructor(ports: LineageLogPorts, rules: LineageRules) {
    this.#ports = ports;
    this.#rules = rules;
  }

  /** Reads the whole log; writes nothing. */
  static async read(ports: LineageLogPorts, rules: LineageRules = lineageRules): Promise<LineageLog> {
    const log = new LineageLog(ports, rules);
    await log.#reload();
    return log;
  }

  get view(): LineageView {
    return this.#view;
  }

  /** Of the log as read, oldest first; for people. Entries before the newest `Opened` are dropped as the log grows. */
  get entries(): readonly LineageEntry[] {
    return this.#entries;
  }

  /** The epoch that this object opened the lineage with. */
  get epoch(): number | undefined {
    return this.#epoch;
  }

  /**
   * Decides and, unless refused, appends `Opened`. Decides anew when somebody else's entry got in between, so that the decision always
   * rests on everything below it. After it, `append` may be called.
   */
  open(request: Omit<OpenRequest, 'nowMs'>): Promise<OpenDecision> {
    return this.#serially(async () => {
      assert(this.#epoch === undefined, 'the lineage was opened before');
      await this.#refuseLostLog(request);
      let decision: OpenDecision | undefined;
      await this.#appendNext((view) => {
        decision = this.#rules.decideOpen(view, { ...request, nowMs: this.#ports.clock.nowMs() });
        return decision.type === 'Open' ? { draft: decision.entry, epoch: decision.epoch } : undefined;
      });
      assert(decision !== undefined, 'an open ends with a decision');
      if (decision.type === 'Open') {
        this.#epoch = decision.epoch;
        // Somebody may have opened after us before we looked; `checkHead` would not see that entry again.
        this.#checkFence(this.#entries);
      }
      return decision;
    });
  }

  /**
   * Appends one entry and returns it when it is in the log for good. A function is called with the view that the entry would follow, again
   * whenever the log has grown before it could be written; it returns undefined when there is nothing to append any more.
   *
   * Throws a fenced error (`isFencedError`), or a `JobError` when the entry is surely not in the log. While the outcome is unknown it
   * stays pending, for ever if need be: nothing may be done that the entry, should it land, would make wrong. Any other error
   * (`UnsettledAppendError`) leaves it open, and the JobManager has to end.
   */
  append(draft: EntryDraft): Promise<LineageEntry>;
  append(build: (view: LineageView) => EntryDraft | undefined): Promise<LineageEntry | undefined>;
  append(what: EntryDraft | ((view: LineageView) => EntryDraft | undefined)): Promise<LineageEntry | undefined> {
    return this.#serially(async () => {
      const epoch = this.#epoch;
      assert(epoch !== undefined, 'the lineage is not open');
      try {
        return await this.#appendNext((view) => {
          const draft = typeof what === 'function' ? what(view) : what;
          return draft === undefined ? undefined : { draft, epoch };
        });
      } catch (error) {
        if (this.#isSettling && !isFencedError(error)) {
          throw new UnsettledAppendError('an entry may be in the lineage, and the lineage cannot be read', { cause: error });
        }
        throw error;
      }
    });
  }

  /**
   * `append` for whoever has not opened the lineage and says something about it: a fork that pins, the state tool that releases, the janitor that condemns. The entry carries
   * the epoch that it follows, so it fences nobody and nobody's `Opened` fences it; a JobManager that runs meets it at its next number (rule 2).
   * While the outcome of a put is unknown this stays pending, as an append does.
   */
  annotate(build: (view: LineageView) => Annotation | undefined): Promise<LineageEntry | undefined> {
    return this.#serially(async () => {
      await this.#catchUp();
      return await this.#appendNext((view) => {
        const draft = build(view);
        return draft === undefined ? undefined : { draft, epoch: view.epoch };
      });
    });
  }

  /**
   * Reads what others have appended (rule 10: every few seconds). Throws a fenced error when a newer JobManager has opened the lineage, and a
   * `JobError` when the storage does not answer.
   */
  checkHead(): Promise<LineageView> {
    return this.#serially(async () => {
      await this.#catchUp();
      return this.#view;
    });
  }

  /** `checkHead` for readers that have not opened. */
  refresh(): Promise<LineageView> {
    return this.checkHead();
  }

  /** Why it is not known yet what became of an entry; undefined when nothing keeps that from being known. */
  get unsettled(): Unsettled | undefined {
    return this.#unsettled;
  }

  /** Since when this object knows each `Condemned` entry of the view, by `monotonicMs`. */
  get condemnedSeenAtMs(): ReadonlyMap<number, number> {
    return this.#condemnedSeenAtMs;
  }

  /** Says that everything that a `Condemned` entry names is deleted, so that the entry may be trimmed some day. */
  condemnedDeleted(entryNumber: number): void {
    this.#deletedCondemnations.add(entryNumber);
  }

  get deletedCondemnations(): ReadonlySet<number> {
    return this.#deletedCondemnations;
  }

  /** Deletes the entries that the log has left behind (rule 16), lowest first. Returns how many. */
  deleteTrimmedEntries(): Promise<number> {
    return this.#serially(async () => {
      const numbers = this.#rules.trimmedEntries(this.#view, await this.#listNumbers(0));
      for (const number of numbers) {
        await this.#retrying('delete a trimmed lineage entry', () => this.#ports.storage.delete([entryPath(number)]));
      }
      return numbers.length;
    });
  }

  #serially<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => {
      if (this.#fenced !== undefined) {
        throw this.#fenced;
      }
      this.#isSettling = false;
      return action();
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }

  async #appendNext(
    build: (view: LineageView) => { readonly draft: EntryDraft; readonly epoch: number } | undefined,
  ): Promise<LineageEntry | undefined> {
    for (;;) {
      const before = this.#view;
      const built = build(before);
      if (built === undefined) {
        return undefined;
      }
      const entry = this.#withHeader(built.draft, built.epoch);
      this.#isSettling = false;
      const settled = await this.#putUntilSettled(entry);
      if (settled === 'Appended') {
        this.#apply(entry);
        return entry;
      }
      await this.#catchUp(settled === 'Verify' ? entry : undefined);
      if (settled === 'Verify' && this.#entries.some(({ nonce }) => nonce === entry.nonce)) {
        return entry;
      }
      assert(this.#view.headNumber > before.headNumber, 'a number that is occupied is part of the log');
    }
  }

  #withHeader(draft: EntryDraft, epoch: number): LineageEntry {
    const number = this.#view.headNumber + 1;
    return {
      format: lineageFormat,
      number,
      nonce: this.#ports.nonce(),
      epoch,
      writtenAtMs: this.#ports.clock.nowMs(),
      // Nothing before `Purged` says anything any more.
      oldestNumber: draft.type === 'Purged' ? number : this.#rules.nextOldestNumber(this.#view, this.#deletedCondemnations),
      ...draft,
    };
  }

  /** Rule 1. `Verify`: the bytes are at their number; `Next`: somebody else's are. */
  async #putUntilSettled(entry: LineageEntry): Promise<'Verify' | 'Next' | 'Appended'> {
    const path = entryPath(entry.number);
    const bytes = encodeEntry(entry);
    let everUnknown = false;
    for (let tries = 1; ; tries += 1) {
      const { outcome, error } = await this.#put(path, bytes);
      everUnknown ||= outcome === 'Unknown';
      this.#isSettling ||= outcome !== 'NotApplied';
      const next = this.#rules.afterPut({ outcome, everUnknown, retryable: error?.retryable ?? false, tries });
      this.#noteUnsettled(next === 'PutAgain' ? (error?.message ?? outcome) : undefined);
      switch (next) {
        case 'Verify':
        case 'Appended':
          return next;
        case 'ReadBack':
          return await this.#whoIsThere(entry);
        case 'PutAgain':
          this.#ports.log.warn({ err: error, path, tries }, 'lineage entry is not settled; the same bytes go out again');
          await this.#pauseAfter(tries);
          break;
        case 'Fail':
          this.#isSettling = false;
          throw new JobError(`could not write ${path} in ${this.#ports.storage.url}: ${error?.message ?? outcome}`, {
            domain: 'external',
            retry: error?.retry ?? 'backoff',
            code: 'LineageNotWritable',
            remedy: 'Make the checkpoint storage writable; the job goes on from its last completed checkpoint.',
            cause: error,
          });
      }
    }
  }

  async #put(
    path: string,
    bytes: Uint8Array,
  ): Promise<{ readonly outcome: 'Created' | 'Occupied' | 'Unknown' | 'NotApplied'; readonly error: StorageError | undefined }> {
    try {
      return { outcome: await this.#ports.storage.putIfAbsent(path, bytes), error: undefined };
    } catch (error) {
      if (error instanceof StorageError) {
        return { outcome: error.outcome, error };
      }
      throw error;
    }
  }

  async #whoIsThere(mine: LineageEntry): Promise<'Verify' | 'Next'> {
    const found = await this.#getEntry(mine.number);
    if (found === undefined) {
      // Trimmed in between: the log is far ahead of us, and so is whoever trimmed it.
      return 'Next';
    }
    const collision = this.#rules.classifyCollision(found, { nonce: mine.nonce, epoch: this.#epoch });
    switch (collision) {
      case 'Mine':
        return 'Verify';
      case 'Apply':
        return 'Next';
      case 'Fenced':
        throw this.#becomeFenced(found);
      case 'Fail':
        this.#isSettling = false;
        throw new JobError(`lineage entry ${entryPath(mine.number)} is occupied`, {
          domain: 'internal',
          retry: 'backoff',
          code: 'LineageOccupied',
        });
    }
  }

  /**
   * Rule 3: reads every number above the head that we know, and stops at the first `Opened` that fences us. `mine` is at its number for sure
   * and need not be read back when nothing lies above it.
   */
  async #catchUp(mine?: LineageEntry): Promise<void> {
    for (let tries = 0; tries < reloadTriesMax; tries += 1) {
      const known = this.#view.headNumber;
      const numbers = await this.#listNumbers(known);
      if (numbers.length === 0) {
        return;
      }
      if (mine !== undefined && numbers.length === 1 && numbers[0] === mine.number) {
        this.#apply(mine);
        return;
      }
      const island = highestIsland(numbers);
      if (island?.first !== known + 1) {
        // What we know as the head was trimmed: far behind. Begin anew.
        await this.#reload();
        this.#checkFence(this.#entries);
        return;
      }
      const entries = await this.#readEntries(island.first, island.last);
      if (entries === undefined) {
        continue;
      }
      if ((entries.at(-1)?.oldestNumber ?? 0) > known + 1) {
        // Trimmed beyond what we know, and yet without a gap: something landed late where the log had been, perhaps our own entry.
        await this.#reload();
        this.#checkFence(this.#entries);
        return;
      }
      this.#checkFence(entries);
      for (const entry of entries) {
        this.#apply(entry);
      }
      return;
    }
    throw tooFast(this.#ports.storage.url);
  }

  async #reload(): Promise<void> {
    for (let tries = 0; tries < reloadTriesMax; tries += 1) {
      const island = highestIsland(await this.#listNumbers(0));
      if (island === undefined) {
        this.#view = emptyView;
        this.#entries = [];
        return;
      }
      const head = await this.#getEntry(island.last);
      if (head === undefined) {
        continue;
      }
      const entries = await this.#readEntries(firstNumberOfLog(island, head), island.last);
      if (entries !== undefined) {
        this.#entries = entriesOfLog(entries);
        this.#view = foldEntries(this.#entries);
        this.#noteCondemned();
        return;
      }
    }
    throw tooFast(this.#ports.storage.url);
  }

  /**
   * Undefined when one of them has gone, or may have gone and been replaced while we read: the log was trimmed above `first`, and where an
   * entry had been, a late write of an entry that never became part of the log may have landed.
   */
  async #readEntries(first: number, last: number): Promise<readonly LineageEntry[] | undefined> {
    const entries = await this.#getEntries(first, last);
    // Trimming follows an entry that records it, so whoever looks for that entry after reading cannot miss it.
    const newest = (await this.#listNumbers(last)).at(-1);
    const bound = newest === undefined ? 0 : ((await this.#getEntry(newest))?.oldestNumber ?? Number.MAX_SAFE_INTEGER);
    return bound > first ? undefined : entries;
  }

  async #getEntries(first: number, last: number): Promise<readonly LineageEntry[] | undefined> {
    const entries: LineageEntry[] = [];
    for (let next = first; next <= last; next += readConcurrency) {
      const count = Math.min(readConcurrency, last - next + 1);
      const batch = await Promise.all(Array.from({ length: count }, (_, index) => this.#getEntry(next + index)));
      for (const entry of batch) {
        if (entry === undefined) {
          return undefined;
        }
        entries.push(entry);
      }
    }
    return entries;
  }

  async #getEntry(number: number): Promise<LineageEntry | undefined> {
    const path = entryPath(number);
    const bytes = await this.#retrying(`read ${path}`, () => this.#ports.storage.get(path));
    if (bytes === undefined) {
      return undefined;
    }
    const entry = parseEntry(bytes, path);
    if (entry.number !== number) {
      throw new JobError(`lineage entry ${path} is corrupt: field number is ${entry.number}`, {
        domain: 'external',
        retry: 'never',
        code: 'LineageEntryCorrupt',
        remedy: 'The file was copied or renamed; restore the directory from a backup.',
      });
    }
    return entry;
  }

  async #listNumbers(above: number): Promise<readonly number[]> {
    const after = above === 0 ? undefined : entryPath(above);
    const objects = await this.#retrying('list the lineage', () => this.#ports.storage.list(lineageFolder, after));
    return objects.map(({ path }) => entryNumberOf(path)).filter((number) => number !== undefined && number > above) as number[];
  }

  #apply(entry: LineageEntry): void {
    this.#view = applyEntry(this.#view, entry);
    const { oldestNumber } = this.#view;
    this.#entries = [...this.#entries, entry].filter(({ number }) => number >= oldestNumber);
    this.#noteCondemned();
  }

  #noteCondemned(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const numbers = new Set(this.#view.condemnations.map(({ number }) => number));
    for (const number of numbers) {
      this.#condemnedSeenAtMs.set(number, this.#condemnedSeenAtMs.get(number) ?? nowMs);
    }
    for (const number of [...this.#condemnedSeenAtMs.keys()].filter((known) => !numbers.has(known))) {
      this.#condemnedSeenAtMs.delete(number);
      this.#deletedCondemnations.delete(number);
    }
  }

  #checkFence(entries: readonly LineageEntry[]): void {
    const epoch = this.#epoch;
    const fence = epoch === undefined ? undefined : entries.find((entry) => this.#rules.fences(entry, epoch));
    if (fence !== undefined) {
      throw this.#becomeFenced(fence);
    }
  }

  #becomeFenced(by: LineageEntry): JobError {
    const who = by.type === 'Opened' ? `pod ${(by satisfies OpenedEntry).podUid}, attempt ${by.attempt.number}` : by.type;
    this.#fenced = new JobError(
      `fenced: epoch ${by.epoch} (${who}) has opened the lineage; this JobManager holds epoch ${this.#epoch}`,
      {
        domain: 'external',
        retry: 'never',
        code: fencedCode,
        remedy: 'Nothing to do: the newer JobManager runs the job.',
      },
    );
    return this.#fenced;
  }

  /** An empty log beside checkpoints was deleted, not never written: starting empty would lose the state silently. */
  async #refuseLostLog(request: Omit<OpenRequest, 'nowMs'>): Promise<void> {
    if (this.#view.headNumber > 0 || request.restore.from === 'None') {
      return;
    }
    const { storage } = this.#ports;
    const all = await this.#retrying('list the lineage', () => storage.list(''));
    await this.#catchUp();
    const orphan = all.find(({ path }) => path.startsWith('chk-') || path.startsWith('savepoints/'));
    if (this.#view.headNumber > 0 || orphan === undefined) {
      return;
    }
    throw new JobError(`${storage.url} holds ${orphan.path} but no lineage log: its files under ${lineageFolder} are gone`, {
      domain: 'external',
      retry: 'never',
      code: 'LineageLogLost',
      remedy: `Bring back ${lineageFolder} from a backup, or say restore.from: None to start from nothing.`,
    });
  }

  async #retrying<T>(what: string, action: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        const result = await action();
        this.#noteUnsettled(undefined);
        return result;
      } catch (error) {
        if (!(error instanceof StorageError)) {
          throw error;
        }
        if (!this.#isSettling && (!error.retryable || tries >= readTriesMax)) {
          throw new JobError(`could not ${what} in ${this.#ports.storage.url}: ${error.message}`, {
            domain: 'external',
            retry: error.retry,
            code: 'CheckpointStorageUnavailable',
            remedy: 'Make the checkpoint storage reachable and readable for this job.',
            cause: error,
          });
        }
        if (this.#isSettling) {
          this.#ports.log.warn({ err: error, what, tries }, 'a read that settles a lineage entry fails; it is repeated');
          this.#noteUnsettled(`could not ${what}: ${error.message}`);
        }
        await this.#pauseAfter(tries);
      }
    }
  }

  #noteUnsettled(why: string | undefined): void {
    this.#unsettled =
      why === undefined
        ? undefined
        : (this.#unsettled ?? {
            code: 'LineageUnsettled',
            message: `what became of an entry of the lineage is not known, and nothing follows from it before: ${why}`,
            remedy: 'Make the checkpoint storage reachable and readable for this job. It is asked again until it answers.',
          });
  }

  #pauseAfter(tries: number): Promise<void> {
    return sleep(this.#ports.clock, Math.min(retryDelayFirstMs * 2 ** (tries - 1), retryDelayMaxMs));
  }
}

function tooFast(url: string): JobError {
  return new JobError(`the lineage in ${url} changed faster than it could be read`, {
    domain: 'external',
    retry: 'backoff',
    code: 'LineageChanging',
    remedy: 'Look for two JobManagers that replace each other: `flinkjob lineage DIR` shows who opened it.',
  });
}
