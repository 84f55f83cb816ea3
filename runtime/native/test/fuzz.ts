// Thousands of calls, most of them wrong in some way: `node --expose-gc fuzz.ts SEED CALLS PATH`. The process must end with code 0, whatever it is given, and
// every refusal must have a code of the contract. hostile-calls.test.ts runs it short, hack/fuzz-native.ts long and with AddressSanitizer.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  NativeBinding,
  NativeDatabase,
  NativeExport,
  NativeIterator,
  NativeSnapshot,
} from '../../src/state-backend/rocksdb/native-binding.ts';
import { loadNativeBinding } from '../../src/state-backend/rocksdb/native-loader.ts';
import { createHostileValues } from './hostile-values.ts';
import { type BatchRecord, batchOf, bytes, columnFamily, text } from './native-batches.ts';
import { createRandom } from './seeded-random.ts';

const [, , seedText = '1', callsText = '1000', folder = ''] = process.argv;
const random = createRandom(Number(seedText));
const { hostile, hostileObject } = createHostileValues(random);
const { integer, chance, pick } = random;

const knownCodes = new Set(
  (
    'InvalidArgument InvalidBatch BufferInUse BufferTooSmall WriterBusy Closed Busy MemoryAlreadyConfigured MemoryLimit NotFound ' +
    'Corruption IOError NoSpace NotSupported Incomplete'
  ).split(' '),
);
const outcomes = new Map<string, number>();
const unsettled = new Set<Promise<unknown>>();

// Objects are kept when they are closed, because calls on those must be refused too.
const databases: NativeDatabase[] = [];
const closed = new Set<NativeDatabase>();
const iterators: NativeIterator[] = [];
const snapshots: NativeSnapshot[] = [];
const exports: NativeExport[] = [];
/** Contents of files. */
const tables: Uint8Array[] = [];
const buffers: (Uint8Array | Uint32Array)[] = [];
let pathCount = 0;

mkdirSync(folder, { recursive: true });
const binding: NativeBinding = loadNativeBinding();
binding.configureMemory({ capacityBytes: 16 << 20, writeBufferBytes: 1 << 20 });

function note(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // V8 itself refuses a method on an object of another class, and what a hostile getter throws comes through.
  const isExpected = knownCodes.has(code) || error instanceof TypeError || error instanceof RangeError;
  if (!isExpected) {
    throw new Error(`seed ${seedText}: an error without a code of the contract`, { cause: error });
  }
  count(code === '' ? 'refused by V8' : code);
}

function count(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

/** Calls `method` of `self`; now and then with something hostile in the place of an argument, or with too few. */
function call(self: object, method: string, args: readonly unknown[], keep?: (result: never) => void): void {
  const given = args.map((argument) => (chance(0.05) ? hostile() : chance(0.05) ? hostileObject(argument) : argument));
  if (chance(0.03)) {
    given.length = integer(given.length + 1);
  }
  const receiver = chance(0.02) ? hostile() : self;
  try {
    const result: unknown = Reflect.apply((self as Record<string, () => unknown>)[method] as () => unknown, receiver, given);
    count('done');
    if (result instanceof Promise) {
      const settled: Promise<unknown> = result.then(keep as never, note).finally(() => unsettled.delete(settled));
      unsettled.add(settled);
    } else {
      keep?.(result as never);
    }
  } catch (error) {
    note(error);
  }
}

const newPath = (): string => join(folder, `p${pathCount++}`);
const key = (): string => `k${integer(300)}`;
const family = (): number => integer(4);
const slice = (): Uint8Array => bytes(key());

function options(name: string): object {
  const mergeOperator = chance(0.5) ? 'append' : 'none';
  const ttl = chance(0.3) ? [{ keyOffset: integer(3), keyBytes: bytes('k1') }] : [];
  return columnFamily(name, { writeBufferBytes: 1 << 18, bloomBitsPerKey: pick([0, 10]), mergeOperator, ttl });
}

/** A batch that is right, or was. */
function batch(): Uint8Array {
  const types = ['put', 'put', 'put', 'merge', 'delete', 'deleteRange'] as const;
  const records = Array.from({ length: integer(40) }, (): BatchRecord => {
    const type = pick(types);
    const isPair = type === 'put' || type === 'merge' || type === 'deleteRange';
    return [type, chance(0.9) ? 0 : family(), key(), ...(isPair ? ['v'.repeat(integer(chance(0.05) ? 20_000 : 100))] : [])];
  });
  return mutated(batchOf(records.filter(([type]) => type !== 'merge' || chance(0.3))));
}

function mutated(original: Uint8Array): Uint8Array {
  if (chance(0.5)) {
    return original;
  }
  const copy = original.slice(0, chance(0.3) ? integer(original.length + 1) : original.length);
  for (let times = integer(4); times > 0 && copy.length > 0; times--) {
    copy[integer(copy.length)] = pick([0, 1, 0x7f, 0x80, 0xff, integer(256)]);
  }
  return copy;
}

/** Kept, so that calls meet the buffers of others. */
function buffer<Kind extends Uint8Array | Uint32Array>(made: Kind): Kind {
  const same = buffers.filter((other) => other.constructor === made.constructor);
  if (chance(0.2) && same.length > 0) {
    return pick(same) as Kind;
  }
  buffers[integer(20)] = made;
  return made;
}

function keyArguments(): readonly unknown[] {
  const names = Array.from({ length: integer(60) }, key);
  const packed = bytes(names.join(''));
  let end = 0;
  const ends = Uint32Array.from(names, (name) => {
    end += name.length;
    return end;
  });
  if (chance(0.2) && ends.length > 0) {
    ends[integer(ends.length)] = pick([0, 1, 0xffffffff, 0x80000000, integer(1000)]);
  }
  const size = chance(0.7) ? names.length : integer(80);
  const room = pick([0, 10, 10_000]);
  return [
    ...[buffer(packed), buffer(ends), size],
    ...[buffer(new Uint8Array(room)), buffer(new Uint32Array(names.length)), buffer(new Uint8Array(names.length))],
  ];
}

/** A file of another database, of none, or of one with a fault. */
function tableFile(): string {
  const path = newPath();
  const original = tables.length === 0 || chance(0.2) ? new Uint8Array(integer(5000)).fill(integer(256)) : pick(tables);
  writeFileSync(path, mutated(original));
  return path;
}

/** Reads its tables at once: an import may move them later. */
function keepExport(made: NativeExport): void {
  exports.push(made);
  const names = readdirSync(made.path).filter((name) => name.endsWith('.sst'));
  tables.push(...names.map((name) => readFileSync(join(made.path, name))));
}

function changedExport(): NativeExport {
  const original: NativeExport = exports.length === 0 ? { path: newPath(), metadata: '{}' } : pick(exports);
  return chance(0.5)
    ? original
    : { path: chance(0.8) ? original.path : newPath(), metadata: text(mutated(bytes(original.metadata))) };
}

const families = (): object[] => ['default', 'a', 'b'].map(options);

function openSome(): void {
  const path = chance(0.7) ? join(folder, `db${integer(3)}`) : newPath();
  const how = {
    path,
    createIfMissing: chance(0.9),
    columnFamilies: families(),
    maxOpenFiles: 50,
    maxBackgroundJobs: 2,
    statistics: chance(0.3),
  };
  call(binding, 'open', [how], (opened: NativeDatabase) => void databases.push(opened));
}

function keepSnapshot(snapshot: NativeSnapshot): void {
  snapshots[integer(10)] = snapshot;
}

/** What can be done to a database, more often what is quick. */
const actions: readonly (readonly [weight: number, act: (database: NativeDatabase) => void])[] = [
  [
    30,
    (database) => {
      const bytesOf = buffer(batch());
      call(database, 'write', [bytesOf, chance(0.9) ? bytesOf.length : integer(5000)]);
    },
  ],
  [
    8,
    (database) => {
      const bytesOf = buffer(batch());
      call(database, 'writeAsync', [bytesOf, bytesOf.length]);
    },
  ],
  [30, (database) => call(database, 'multiGet', [family(), ...keyArguments()])],
  [15, (database) => call(database, 'multiGetAsync', [family(), ...keyArguments()])],
  [
    12,
    (database) => {
      const snapshot = chance(0.5) && snapshots.length > 0 ? pick(snapshots) : undefined;
      const bounds = { ...(chance(0.5) ? { lower: slice() } : {}), ...(chance(0.5) ? { upper: slice() } : {}) };
      const how = { ...bounds, snapshot, keysOnly: chance(0.2), fillCache: chance(0.8) };
      call(database, 'iterator', [family(), how], (iterator: NativeIterator) => {
        iterators[integer(30)] = iterator;
      });
    },
  ],
  [5, (database) => call(database, 'snapshot', [], keepSnapshot)],
  [
    5,
    (database) =>
      call(database, 'property', [family(), pick(['rocksdb.stats', 'rocksdb.estimate-num-keys', '', 'x'.repeat(9000)])]),
  ],
  [1, (database) => call(database, 'statistics', [])],
  [4, (database) => call(database, 'flush', [])],
  [2, (database) => call(database, 'compact', [family()])],
  [2, (database) => call(database, 'checkpoint', [newPath()])],
  [3, (database) => call(database, 'deleteRange', [family(), slice(), slice(), { files: chance(0.5) }])],
  [1, (database) => call(database, 'clip', [family(), slice(), slice()])],
  [2, (database) => call(database, 'ingest', [family(), [tableFile()], { moveFiles: chance(0.5), dbGenerated: chance(0.8) }])],
  [2, (database) => call(database, 'exportColumnFamily', [family(), newPath()], keepExport)],
  [
    2,
    (database) => {
      const from = Array.from({ length: integer(3) }, changedExport);
      call(database, 'importColumnFamily', [options(`i${integer(1000)}`), from, { moveFiles: chance(0.1) }]);
    },
  ],
  [1, (database) => call(database, 'dropColumnFamily', [family()])],
  [
    1,
    (database) => {
      call(database, 'close', []);
      closed.add(database);
    },
  ],
];

function step(): void {
  const open = databases.filter((database) => !closed.has(database) || chance(0.01));
  if (open.length < 4 && (open.length === 0 || chance(0.1))) {
    openSome();
  }
  if (open.length > 0) {
    const weights = actions.map(([weight]) => weight);
    let left = integer(weights.reduce((sum, weight) => sum + weight, 0));
    const chosen = actions.find(([weight]) => {
      left -= weight;
      return left < 0;
    });
    chosen?.[1](pick(open));
  }
  const held = iterators.filter(Boolean);
  if (held.length > 0 && chance(0.4)) {
    call(pick(held), chance(0.9) ? 'next' : 'close', [
      buffer(new Uint8Array(integer(3000))),
      buffer(new Uint32Array(integer(20))),
    ]);
  }
  const shots = snapshots.filter(Boolean);
  if (shots.length > 0 && chance(0.02)) {
    call(pick(shots), 'close', []);
  }
  if (chance(0.02)) {
    transferOne();
  }
  if (chance(0.01)) {
    call(binding, pick(['memoryUsage', 'setNowMs', 'configureMemory', 'destroy']), [pick([join(folder, 'db0'), 1, 1e12, {}])]);
  }
  if (chance(0.01)) {
    const file = newPath();
    call(binding, 'writeSst', [file, options('x'), ...keyArguments().slice(0, 2), ...keyArguments().slice(0, 2), integer(50)]);
  }
  if (chance(0.003)) {
    globalThis.gc?.();
  }
}

/** Takes a buffer away, perhaps from a call that is under way. */
function transferOne(): void {
  const some = buffers.filter(Boolean);
  const chosen = some.length > 0 ? pick(some) : undefined;
  if (chosen !== undefined && chosen.buffer instanceof ArrayBuffer && !chosen.buffer.detached) {
    structuredClone(null, { transfer: [chosen.buffer] });
  }
}

const canaryPath = join(folder, 'canary');
const canaryOptions = {
  ...{ path: canaryPath, createIfMissing: true, columnFamilies: [columnFamily('default')] },
  ...{ maxOpenFiles: 50, maxBackgroundJobs: 2, statistics: false },
};
const canary = await binding.open(canaryOptions);
const canaryBatch = batchOf([['put', 0, 'canary', 'sings']]);
canary.write(canaryBatch, canaryBatch.length);

for (let calls = Number(callsText); calls > 0; calls--) {
  step();
  if (chance(0.05) || unsettled.size > 50) {
    await Promise.all(unsettled);
  }
}
await Promise.all(unsettled);
await Promise.all(databases.map((database) => database.close()));

const value = new Uint8Array(5);
canary.multiGet(0, bytes('canary'), Uint32Array.of(6), 1, value, new Uint32Array(1), new Uint8Array(1));
if (text(value) !== 'sings') {
  throw new Error(`seed ${seedText}: a database that nobody touched has changed`);
}
await canary.flush();
await canary.close();
await binding.destroy(canaryPath);
if (existsSync(canaryPath)) {
  throw new Error(`seed ${seedText}: ${canaryPath} is still there`);
}
console.log(JSON.stringify(Object.fromEntries([...outcomes].toSorted())));
