import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import type { SnapshotFormat } from '../core/checkpoint/manifest.ts';
import { JobError } from '../core/job-error.ts';
import { keyGroupOf, keyGroupRangeOf } from '../core/key-groups/key-group.ts';
import { type FiredTimer, maxTimestampMs, type TimeDomain } from '../core/time/event-time.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import {
  aggregatingState,
  type BackendUnderTest,
  listState,
  mapState,
  reducingState,
  StateDirectories,
  valueState,
} from './conformance-fixtures.ts';
import type {
  KeyedStateBackend,
  KeyedStateBackendFactory,
  KeyedStateBackendOptions,
  KeyedStateSnapshot,
  RestoredPart,
  SnapshotTarget,
} from './state-backend.ts';

export const maxParallelism = 128;

export const allKeyGroups = { first: 0, last: maxParallelism - 1 };

const visitType: Type<unknown> = t.struct({ page: t.string, tags: t.array(t.string) });

/** What the window of a test is: two numbers, so that a namespace is more than a number. */
export const windowType: Type<unknown> = t.struct({ start: t.int, end: t.int });

export const sumAndCount = {
  createAccumulator: () => ({ sum: 0, count: 0 }),
  // Changes what it is given, as it may.
  add: (accumulator: unknown, value: unknown) => {
    const { sum, count } = accumulator as { sum: number; count: number };
    return Object.assign(accumulator as object, { sum: sum + (value as number), count: count + 1 });
  },
  getResult: (accumulator: unknown) => {
    const { sum, count } = accumulator as { sum: number; count: number };
    return `${sum}/${count}`;
  },
};

export const sumAndCountType: Type<unknown> = t.struct({ sum: t.int, count: t.int });

/** By key alone: one of each kind, with primitive values and with objects. */
export const keyStates = [
  valueState('count', t.int),
  valueState('visit', visitType),
  listState('words', t.string),
  listState('visits', visitType),
  mapState('byName', t.string, t.double),
  mapState('byVisit', visitType, visitType),
  reducingState('highest', t.int, (a, b) => Math.max(a as number, b as number)),
  aggregatingState('average', sumAndCountType, sumAndCount),
];

/** By key and window. */
export const windowStates = [
  valueState('windowCount', t.int, { namespaced: true }),
  listState('windowWords', t.string, { namespaced: true }),
  mapState('windowByName', t.string, t.double, { namespaced: true }),
  reducingState('windowHighest', t.int, (a, b) => Math.max(a as number, b as number), { namespaced: true }),
  aggregatingState('windowAverage', sumAndCountType, sumAndCount, { namespaced: true }),
];

const allStates = [...keyStates, ...windowStates];

type Overrides = Partial<KeyedStateBackendOptions>;

/** Opens backends for one `describe`, lets the clock stand, and closes and removes everything in the end. */
export class BackendFixture {
  /** Of all backends. */
  nowMs = 1_700_000_000_000;
  readonly #backendUnderTest: BackendUnderTest;
  readonly #format: SnapshotFormat;
  readonly #open = new Set<KeyedStateBackend>();
  #directories: StateDirectories | undefined;
  #createBackend: KeyedStateBackendFactory | undefined;
  #nextNumber = 1;

  /** `format`: of the snapshots that it writes. */
  constructor(backendUnderTest: BackendUnderTest, format: SnapshotFormat = 'Native') {
    this.#backendUnderTest = backendUnderTest;
    this.#format = format;
    before(async () => {
      this.#directories = await StateDirectories.create({ isFast: true });
      this.#createBackend = await backendUnderTest.createFactory(await this.#directories.createWorkingDirectory());
    });
    afterEach(() => this.closeAll());
    after(() => this.#directories?.remove());
  }

  get name(): string {
    return this.#backendUnderTest.name;
  }

  get directories(): StateDirectories {
    assert.ok(this.#directories !== undefined);
    return this.#directories;
  }

  get createBackend(): KeyedStateBackendFactory {
    assert.ok(this.#createBackend !== undefined);
    return this.#createBackend;
  }

  /** By default with all states above, windows as namespaces, timers, and all key groups. */
  async open(overrides: Overrides = {}, restored: readonly RestoredPart[] = []): Promise<KeyedStateBackend> {
    const backend = await this.createBackend(
      {
        name: `conformance-${this.#nextNumber++}`,
        keyType: t.string,
        namespaceType: windowType,
        states: allStates,
        timers: true,
        maxParallelism,
        keyGroups: allKeyGroups,
        nowMs: () => this.nowMs,
        onRoom: () => undefined,
        ...overrides,
      },
      restored,
    );
    this.#open.add(backend);
    return backend;
  }

  async close(backend: KeyedStateBackend): Promise<void> {
    this.#open.delete(backend);
    await backend.close();
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#open].map((backend) => this.close(backend)));
  }

  snapshot(backend: KeyedStateBackend): KeyedStateSnapshot {
    return backend.snapshot(this.#format);
  }

  /** For one snapshot. */
  createTarget(): SnapshotTarget {
    return this.directories.createTarget(this.#format);
  }

  /** Takes a snapshot, writes it at once and gives what a restore is given. */
  async checkpoint(backend: KeyedStateBackend, keyGroups = allKeyGroups): Promise<RestoredPart> {
    const written = await this.snapshot(backend).write(this.createTarget());
    return this.directories.toRestoredPart(written, keyGroups);
  }

  /** What a backend with the same options has after a restore. */
  async reopen(backend: KeyedStateBackend, overrides: Overrides = {}): Promise<KeyedStateBackend> {
    return this.open(overrides, [await this.checkpoint(backend)]);
  }

  /** All subtasks of an operator at that parallelism. */
  async openAll(parallelism: number, restored: readonly RestoredPart[] = []): Promise<readonly KeyedStateBackend[]> {
    const ranges = Array.from({ length: parallelism }, (_, index) => keyGroupRangeOf(index, parallelism, maxParallelism));
    return Promise.all(ranges.map((keyGroups) => this.open({ keyGroups }, restored)));
  }
}

export function keyBytes(type: Type<unknown>, key: unknown): Uint8Array {
  const writer = new BinaryWriter();
  type.encodeKey(key, writer);
  return writer.toBytes();
}

export function keyGroup(key: string): number {
  return keyGroupOf(keyBytes(t.string, key), maxParallelism);
}

/** The order of keys everywhere: of their bytes. */
export function sortKeys<T>(type: Type<unknown>, keys: readonly T[]): readonly T[] {
  return [...keys].sort((a, b) => Buffer.compare(keyBytes(type, a), keyBytes(type, b)));
}

/** Takes all timers of a domain that are due, and gives them in the order in which they fired. */
export function fireAll(
  backend: KeyedStateBackend,
  domain: TimeDomain = 'ProcessingTime',
  upToMs = maxTimestampMs,
): readonly FiredTimer[] {
  const fired: FiredTimer[] = [];
  backend.fireTimers(domain, upToMs, Number.MAX_SAFE_INTEGER, (timer) => fired.push(timer));
  return fired;
}

export function assertJobError(action: () => unknown, code: string): void {
  assert.throws(action, (error) => isJobError(error, code));
}

export async function assertRejects(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error) => isJobError(error, code));
}

function isJobError(error: unknown, code: string): true {
  assert.ok(error instanceof JobError, String(error));
  assert.equal(error.code, code);
  return true;
}

/** Keys of many types, and among them those that a careless comparison would confuse. */
export const keyTypes: readonly { readonly typeName: string; readonly type: Type<unknown>; readonly keys: readonly unknown[] }[] =
  [
    {
      typeName: 'string',
      type: t.string,
      keys: ['', 'a', '0', 'ä', '\ud800', '\uffff', '😀', '\0', 'a\0', 'a\u0001', 'x'.repeat(300)],
    },
    { typeName: 'int', type: t.int, keys: [0, 1, -1, 300, -300, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER] },
    {
      typeName: 'double',
      type: t.double,
      keys: [0, 0.5, -0.5, 1e300, Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    },
    { typeName: 'boolean', type: t.boolean, keys: [true, false] },
    { typeName: 'bigint', type: t.bigint, keys: [0n, 1n, -1n, 2n ** 80n, -(2n ** 80n)] },
    { typeName: 'bytes', type: t.bytes, keys: [Uint8Array.of(), Uint8Array.of(0), Uint8Array.of(0, 1), Uint8Array.of(255, 0)] },
    { typeName: 'array', type: t.array(t.string), keys: [[], ['a', 'b'], ['ab'], ['', 'ab']] },
    {
      typeName: 'struct',
      type: t.struct({ user: t.string, shard: t.optional(t.int) }),
      keys: [{ user: 'u' }, { user: 'u', shard: 0 }, { user: 'u', shard: -1 }, { user: '' }],
    },
  ];
