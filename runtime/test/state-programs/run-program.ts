import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { unreachable } from '../../src/core/assert.ts';
import type { SnapshotFormat } from '../../src/core/checkpoint/manifest.ts';
import { keyGroupRangeOf, subtaskIndexOf } from '../../src/core/key-groups/key-group.ts';
import { maxTimestampMs, type TimeDomain } from '../../src/core/time/event-time.ts';
import type { StateDirectories } from '../../src/state-backend/conformance-fixtures.ts';
import type {
  KeyedStateBackend,
  KeyedStateBackendFactory,
  KeyedStateSnapshot,
  RestoredPart,
} from '../../src/state-backend/state-backend.ts';
import { copyOfKey } from './key-order.ts';
import { performOperation } from './perform-operation.ts';
import type { Batch, CheckpointStep, FireStep, Operation, StateProgram, Step } from './program.ts';
import { readsOfKey } from './reads-of-key.ts';
import { type ModelTimer, type Scope, StateModel } from './state-model.ts';
import { StateProgramFailure } from './state-program-failure.ts';

/** A backend that programs run on, side by side with the others. */
export interface Contestant {
  readonly name: string;
  readonly createBackend: KeyedStateBackendFactory;
}

export interface ProgramTotals {
  readonly operationCount: number;
  readonly firedTimerCount: number;
  readonly restoreCount: number;
}

const maxParallelism = 128;
const domains = ['ProcessingTime', 'EventTime'] as const;

/** Runs a program on all contestants and the model; throws at the first thing that is not as the model has it. */
export async function runStateProgram(
  program: StateProgram,
  contestants: readonly Contestant[],
  directories: StateDirectories,
): Promise<ProgramTotals> {
  const run = new ProgramRun(program, contestants, directories);
  try {
    return await run.run();
  } finally {
    await run.close();
  }
}

/** An operation as it was applied to the model, with what it gave there. */
interface Expectation {
  readonly operation: Operation;
  readonly result: unknown;
}

interface ExpectedFiring {
  readonly timer: ModelTimer;
  readonly expectations: readonly Expectation[];
}

class ProgramRun {
  readonly #program: StateProgram;
  readonly #contestants: readonly Contestant[];
  readonly #directories: StateDirectories;
  #model: StateModel;
  /** By contestant, then by subtask. */
  #backends: readonly (readonly KeyedStateBackend[])[] = [];
  #parallelism = 1;
  /** By subtask. */
  #current: Scope[] = [];
  #nowMs = 1_000_000;
  #openCount = 0;
  #where = 'at the beginning';
  #roomWaiters: (() => void)[] = [];
  #totals = { operationCount: 0, firedTimerCount: 0, restoreCount: 0 };

  constructor(program: StateProgram, contestants: readonly Contestant[], directories: StateDirectories) {
    this.#program = program;
    this.#contestants = contestants;
    this.#directories = directories;
    this.#model = new StateModel(program, maxParallelism);
  }

  async run(): Promise<ProgramTotals> {
    await this.#open(1, undefined);
    for (const [index, step] of this.#program.steps.entries()) {
      this.#where = `in step ${index} (${step.type})`;
      await this.#step(step);
    }
    this.#where = 'at the end';
    this.#compareAll();
    return this.#totals;
  }

  async close(): Promise<void> {
    await Promise.all(this.#backends.flat().map((backend) => backend.close()));
  }

  async #step(step: Step): Promise<void> {
    switch (step.type) {
      case 'Batch':
        return this.#runBatch(step.batch);
      case 'Clock':
        this.#nowMs += step.byMs;
        return;
      case 'Fire':
        return this.#fire(step);
      case 'Checkpoint':
        return this.#checkpoint(step);
      default:
        return unreachable(step);
    }
  }

  /** Opens all subtasks of all contestants, of nothing or of the parts of each contestant. */
  async #open(parallelism: number, parts: readonly (readonly RestoredPart[])[] | undefined): Promise<void> {
    const { keyType, namespaceType, states, timers } = this.#program;
    const opened: (readonly KeyedStateBackend[])[] = [];
    for (const [place, { createBackend }] of this.#contestants.entries()) {
      const backends: KeyedStateBackend[] = [];
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const backend = await createBackend(
          {
            name: `program-${this.#program.seed}-${this.#openCount++}`,
            keyType,
            namespaceType,
            states: states.map(({ implementation }) => implementation),
            timers,
            maxParallelism,
            keyGroups: keyGroupRangeOf(subtask, parallelism, maxParallelism),
            nowMs: () => this.#nowMs,
            onRoom: () => this.#wakeWaiters(),
          },
          parts?.[place] ?? [],
        );
        backends.push(backend);
        if (namespaceType !== undefined) {
          backend.setCurrentNamespace(this.#program.namespaces[0]);
        }
      }
      opened.push(backends);
    }
    this.#backends = opened;
    this.#parallelism = parallelism;
    this.#current = Array.from({ length: parallelism }, () => ({ key: -1, namespace: namespaceType === undefined ? -1 : 0 }));
  }

  #wakeWaiters(): void {
    for (const wake of this.#roomWaiters.splice(0)) {
      wake();
    }
  }

  #subtaskOf(key: number): number {
    return subtaskIndexOf(this.#model.keyGroupOf(key), this.#parallelism, maxParallelism);
  }

  #runBatch(batch: Batch): void {
    const { keys, namespaces } = this.#program;
    for (let subtask = 0; subtask < this.#parallelism; subtask++) {
      const own = [...batch.keys.keys()].filter((index) => this.#subtaskOf(batch.keys[index] as number) === subtask);
      if (own.length === 0) {
        continue;
      }
      const preparedKeys = own.map((index) => keys[batch.keys[index] as number]);
      const preparedNamespaces =
        batch.namespaces === undefined ? undefined : own.map((index) => namespaces[batch.namespaces?.[index] as number]);
      for (const backend of this.#backendsOf(subtask)) {
        backend.prepareBatch(preparedKeys, preparedNamespaces);
      }
      for (const { index, operations } of batch.visits.filter((visit) => own.includes(visit.index))) {
        const namespace = batch.namespaces?.[index] ?? (this.#current[subtask] as Scope).namespace;
        this.#current[subtask] = { key: batch.keys[index] as number, namespace };
        const expectations = this.#applyToModel(subtask, operations);
        for (const [place, backend] of this.#backendsOf(subtask).entries()) {
          backend.selectKey(own.indexOf(index));
          this.#perform(place, backend, expectations);
        }
      }
      this.#compareNextTimers(subtask);
    }
  }

  #fire({ domain, upToMs, countMax, reactions }: FireStep): void {
    for (let subtask = 0; subtask < this.#parallelism; subtask++) {
      const firings: ExpectedFiring[] = [];
      for (let timer = this.#dueTimer(subtask, domain, upToMs); timer !== undefined && firings.length < countMax; ) {
        this.#model.deleteTimer(timer);
        this.#current[subtask] = { key: timer.key, namespace: timer.namespace };
        const reaction = reactions[firings.length % reactions.length] ?? [];
        firings.push({ timer, expectations: this.#applyToModel(subtask, reaction) });
        timer = this.#dueTimer(subtask, domain, upToMs);
      }
      for (const [place, backend] of this.#backendsOf(subtask).entries()) {
        this.#fireBackend(place, backend, { domain, upToMs, countMax, firings });
      }
      this.#compareNextTimers(subtask);
    }
  }

  #fireBackend(
    place: number,
    backend: KeyedStateBackend,
    expected: Pick<FireStep, 'domain' | 'upToMs' | 'countMax'> & { readonly firings: readonly ExpectedFiring[] },
  ): void {
    const { domain, upToMs, countMax, firings } = expected;
    let firedCount = 0;
    const given = backend.fireTimers(domain, upToMs, countMax, (timer) => {
      const firing = firings[firedCount++];
      this.#compare(place, `timer ${firedCount} that fired`, timer, this.#toFiredTimer(firing?.timer));
      this.#perform(place, backend, firing?.expectations ?? []);
    });
    this.#totals.firedTimerCount += firedCount;
    this.#compare(place, 'how many timers fired', [firedCount, given], [firings.length, firings.length]);
  }

  #toFiredTimer(timer: ModelTimer | undefined): unknown {
    if (timer === undefined) {
      return undefined;
    }
    const { keyType, keys, namespaceType, namespaces } = this.#program;
    const { domain, timestampMs, key, namespace } = timer;
    return {
      domain,
      timestampMs,
      key: copyOfKey(keyType, keys[key]),
      namespace: namespaceType === undefined ? undefined : copyOfKey(namespaceType, namespaces[namespace]),
    };
  }

  async #checkpoint({ before, during, outcome, format, parallelism }: CheckpointStep): Promise<void> {
    const model = this.#model.copy();
    const snapshots = this.#backends.map((backends) => backends.map((backend) => backend.snapshot(format)));
    await this.#runBatches(before, false);
    if (outcome === 'Discard' && during.length === 0) {
      discardAll(snapshots);
      return;
    }
    const writing = Promise.all(snapshots.map((ofContestant) => this.#write(ofContestant, format)));
    // What fails in between closes the backends, and with them what is being written.
    writing.catch(() => undefined);
    if (outcome === 'Discard') {
      await this.#discardHalfWritten(snapshots, writing, during);
      return;
    }
    await this.#runBatches(during, true);
    const written = await writing;
    // The canonical format is the same whoever wrote it, so each backend goes on from another's.
    const parts = format === 'Canonical' ? [...written.slice(1), ...written.slice(0, 1)] : written;
    if (outcome === 'Failover') {
      await this.close();
      this.#model = model;
      await this.#open(parallelism, parts);
      this.#totals.restoreCount++;
      this.#compareAll();
    } else if (outcome === 'Verify') {
      await this.#verify(model, parallelism, parts);
    }
  }

  async #write(snapshots: readonly KeyedStateSnapshot[], format: SnapshotFormat): Promise<readonly RestoredPart[]> {
    const count = snapshots.length;
    return Promise.all(
      snapshots.map(async (snapshot, subtask) => {
        const written = await snapshot.write(this.#directories.createTarget(format));
        return this.#directories.toRestoredPart(written, keyGroupRangeOf(subtask, count, maxParallelism));
      }),
    );
  }

  /** It may have been written wholly before it is discarded; then that changes nothing. */
  async #discardHalfWritten(
    snapshots: readonly (readonly KeyedStateSnapshot[])[],
    writing: Promise<unknown>,
    during: readonly Batch[],
  ): Promise<void> {
    const settled = Promise.allSettled([writing]);
    await nextTurn();
    discardAll(snapshots);
    await settled;
    await this.#runBatches(during, false);
  }

  /** Looks at what is restored, to the last timer, and then goes on with what was. */
  async #verify(model: StateModel, parallelism: number, parts: readonly (readonly RestoredPart[])[]): Promise<void> {
    const kept = {
      model: this.#model,
      backends: this.#backends,
      parallelism: this.#parallelism,
      current: this.#current,
      nowMs: this.#nowMs,
    };
    this.#model = model;
    this.#backends = [];
    try {
      await this.#open(parallelism, parts);
      this.#totals.restoreCount++;
      this.#compareAll();
      for (const domain of domains) {
        this.#fire({ type: 'Fire', domain, upToMs: maxTimestampMs, countMax: 1_000_000, reactions: [] });
      }
    } finally {
      await this.close();
      this.#model = kept.model;
      this.#backends = kept.backends;
      this.#parallelism = kept.parallelism;
      this.#current = kept.current;
    }
  }

  /** As a task does, which rests while a backend has no room; only a snapshot that is being written makes some. */
  async #runBatches(batches: readonly Batch[], isWriting: boolean): Promise<void> {
    for (const batch of batches) {
      while (this.#backends.flat().some(({ hasRoom }) => !hasRoom)) {
        if (!isWriting) {
          return;
        }
        await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
      }
      this.#runBatch(batch);
      await nextTurn();
    }
  }

  #backendsOf(subtask: number): readonly KeyedStateBackend[] {
    return this.#backends.map((backends) => backends[subtask] as KeyedStateBackend);
  }

  #dueTimer(subtask: number, domain: TimeDomain, upToMs: number): ModelTimer | undefined {
    const timer = this.#model.nextTimer(domain, (key) => this.#subtaskOf(key) === subtask);
    return timer === undefined || timer.timestampMs > upToMs ? undefined : timer;
  }

  /** On the current key; an operation that has no meaning in this subtask is left out. */
  #applyToModel(subtask: number, operations: readonly Operation[]): readonly Expectation[] {
    const expectations: Expectation[] = [];
    for (const operation of operations) {
      const scope = this.#current[subtask] as Scope;
      let result: unknown;
      switch (operation.type) {
        case 'SetCurrentKey':
          if (this.#subtaskOf(operation.key) !== subtask) {
            continue;
          }
          this.#current[subtask] = { ...scope, key: operation.key };
          break;
        case 'SetCurrentNamespace':
          this.#current[subtask] = { ...scope, namespace: operation.namespace };
          break;
        case 'RegisterTimer':
          this.#model.registerTimer({ ...operation, ...scope });
          break;
        case 'DeleteTimer':
          this.#model.deleteTimer({ ...operation, ...scope });
          break;
        case 'State':
          result = this.#model.apply(operation, scope, this.#nowMs);
          break;
        default:
          unreachable(operation);
      }
      expectations.push({ operation, result });
    }
    this.#totals.operationCount += expectations.length;
    return expectations;
  }

  #perform(place: number, backend: KeyedStateBackend, expectations: readonly Expectation[]): void {
    for (const { operation, result } of expectations) {
      this.#compare(place, operation, performOperation(this.#program, backend, operation), result);
    }
  }

  #compareNextTimers(subtask: number): void {
    for (const domain of domains) {
      const next = this.#model.nextTimer(domain, (key) => this.#subtaskOf(key) === subtask)?.timestampMs;
      for (const [place, backend] of this.#backendsOf(subtask).entries()) {
        this.#compare(place, `the next timer of ${domain}`, backend.nextTimerMs(domain), next);
      }
    }
  }

  /** Reads every state of every key and namespace. */
  #compareAll(): void {
    for (const key of this.#program.keys.keys()) {
      const subtask = this.#subtaskOf(key);
      const operations = readsOfKey(this.#program, key);
      const expectations = this.#applyToModel(subtask, operations);
      for (const [place, backend] of this.#backendsOf(subtask).entries()) {
        this.#perform(place, backend, expectations);
      }
    }
    for (let subtask = 0; subtask < this.#parallelism; subtask++) {
      this.#compareNextTimers(subtask);
    }
  }

  #compare(place: number, what: Operation | string, found: unknown, expected: unknown): void {
    if (isDeepStrictEqual(found, expected)) {
      return;
    }
    const { name } = this.#contestants[place] as Contestant;
    throw new StateProgramFailure({ seed: this.#program.seed, where: this.#where, contestant: name, what, found, expected });
  }
}

function discardAll(snapshots: readonly (readonly KeyedStateSnapshot[])[]): void {
  for (const snapshot of snapshots.flat()) {
    snapshot.discard();
  }
}
