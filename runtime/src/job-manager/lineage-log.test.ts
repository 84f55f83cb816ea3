// Appends and reads against a storage that loses, delays and refuses (rules 1 to 3). What follows from entries is tested in core/lineage; all
// of it together, under every mixture of faults, by the simulator.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryStorage } from '../../test/fakes/memory-storage.ts';
import { type CheckpointStorage, StorageError } from '../checkpoint-storage/checkpoint-storage.ts';
import type { Clock } from '../core/clock.ts';
import type { EntryDraft } from '../core/lineage/entries.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { entryPath } from '../core/lineage/object-paths.ts';
import { isFencedError, LineageLog, UnsettledAppendError } from './lineage-log.ts';

const clock: Clock = {
  nowMs: () => 1_000,
  monotonicMs: () => 1_000,
  schedule: (_delayMs, callback) => {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
};
const log = { debug() {}, info() {}, warn() {}, error() {} };

let nonces = 0;
const nonce = (): string => {
  nonces += 1;
  return `nonce-${nonces}`;
};

type Put = CheckpointStorage['putIfAbsent'];

/** The medium through a client whose puts go through `put`. */
function through(medium: MemoryStorage, put: (path: string, bytes: Uint8Array, real: Put) => ReturnType<Put>): CheckpointStorage {
  const real: Put = (path, bytes) => medium.putIfAbsent(path, bytes);
  return {
    url: medium.url,
    putIfAbsent: (path, bytes) => put(path, bytes, real),
    putFileIfAbsent: (path, file) => medium.putFileIfAbsent(path, file),
    get: (path) => medium.get(path),
    getFile: (path, file) => medium.getFile(path, file),
    copyFrom: (source, path, to) => medium.copyFrom(source, path, to),
    list: (prefix, after) => medium.list(prefix, after),
    delete: (paths) => medium.delete(paths),
  };
}

const unknown = (): StorageError => new StorageError('time-out', { outcome: 'Unknown', retryable: true });

async function read(storage: CheckpointStorage, rules = lineageRules): Promise<LineageLog> {
  return await LineageLog.read({ storage, clock, nonce, log }, rules);
}

async function opened(
  storage: CheckpointStorage,
  podUid = 'pod-1',
  attemptNumber = 1,
  rules = lineageRules,
): Promise<LineageLog> {
  const lineage = await read(storage, rules);
  const decision = await lineage.open({
    owner: 'cluster/default/job',
    adoptFrom: undefined,
    attempt: { number: attemptNumber, token: `attempt-${attemptNumber}` },
    podUid,
    revision: 'r',
    restore: { from: 'Latest' },
  });
  assert.equal(decision.type, 'Open', decision.type === 'Refuse' ? decision.error.message : '');
  return lineage;
}

function completed(checkpointId: number): EntryDraft {
  return {
    type: 'Completed',
    checkpointId,
    kind: 'Checkpoint',
    manifest: { path: `chk-${String(checkpointId).padStart(6, '0')}-e1/_metadata`, sizeBytes: 1, sha256: 'ab' },
    stateSizeBytes: 1,
    triggeredAtMs: 0,
    operationId: undefined,
  };
}

const pin = { type: 'Pinned', pinId: 'pin', checkpoint: 'chk-000001-e1/_metadata', for: 'green' } as const satisfies EntryDraft;
const types = (medium: MemoryStorage): readonly string[] => medium.entries().map(({ type }) => type);

test('entries are numbered from one, and another reader sees the same', async () => {
  const medium = new MemoryStorage();
  const lineage = await opened(medium);
  await lineage.append(completed(1));
  assert.deepEqual(medium.paths('lineage/'), [entryPath(1), entryPath(2)]);
  const reader = await read(medium);
  assert.deepEqual(reader.view, lineage.view);
  assert.deepEqual(reader.entries, lineage.entries);
});

describe('rule 1: an unknown outcome', () => {
  test('whose put landed is recognised by its own nonce and is one entry', async () => {
    const medium = new MemoryStorage();
    let losing = 0;
    const lineage = await opened(
      through(medium, async (path, bytes, real) => {
        const answer = await real(path, bytes);
        if (losing > 0) {
          losing -= 1;
          throw unknown();
        }
        return answer;
      }),
    );
    losing = 1;
    const entry = await lineage.append(completed(1));
    assert.equal(entry.number, 2);
    assert.deepEqual(types(medium), ['Opened', 'Completed']);
    assert.equal(lineage.view.latest?.checkpointId, 1);
  });

  test('whose put was lost goes out again with the same bytes under the same number, however often', async () => {
    const medium = new MemoryStorage();
    const seen: string[] = [];
    let losing = 0;
    const lineage = await opened(
      through(medium, async (path, bytes, real) => {
        if (losing > 0) {
          losing -= 1;
          seen.push(`${path} ${new TextDecoder().decode(bytes)}`);
          throw unknown();
        }
        seen.push(`${path} ${new TextDecoder().decode(bytes)}`);
        return await real(path, bytes);
      }),
    );
    seen.length = 0;
    losing = 20;
    await lineage.append(completed(1));
    assert.equal(seen.length, 21);
    assert.equal(new Set(seen).size, 1);
    assert.deepEqual(types(medium), ['Opened', 'Completed']);
  });

  test('lets nothing else be appended until it is settled', async () => {
    const medium = new MemoryStorage();
    let losing = 0;
    const order: string[] = [];
    const lineage = await opened(
      through(medium, async (path, bytes, real) => {
        order.push(path);
        if (losing > 0) {
          losing -= 1;
          throw unknown();
        }
        return await real(path, bytes);
      }),
    );
    order.length = 0;
    losing = 3;
    await Promise.all([lineage.append(completed(1)), lineage.append(completed(2))]);
    assert.deepEqual(order, [...Array(4).fill(entryPath(2)), entryPath(3)]);
  });

  test('is not given up when the storage refuses later tries', async () => {
    const medium = new MemoryStorage();
    const outcomes: StorageError[] = [];
    const lineage = await opened(
      through(medium, async (path, bytes, real) => {
        const error = outcomes.shift();
        if (error !== undefined) {
          throw error;
        }
        return await real(path, bytes);
      }),
    );
    const full = new StorageError('disk full', { outcome: 'NotApplied', retryable: false });
    outcomes.push(unknown(), full, full, full, full, full);
    await lineage.append(completed(1));
    assert.deepEqual(types(medium), ['Opened', 'Completed']);
  });

  test('is not given up when the log cannot be read after a put that landed', async () => {
    const medium = new MemoryStorage();
    const lineage = await opened(medium);
    let failing = 100;
    const reasons = new Set<string | undefined>();
    const list = medium.list.bind(medium);
    medium.list = async (prefix, after) => {
      reasons.add(lineage.unsettled?.message);
      if (failing > 0) {
        failing -= 1;
        throw new StorageError(`down, request ${failing}`, { outcome: 'NotApplied', retryable: failing % 2 === 0 });
      }
      return await list(prefix, after);
    };
    assert.equal((await lineage.append(completed(1))).number, 2);
    assert.equal(failing, 0);
    const [before, why, ...more] = reasons;
    assert.equal(before, undefined);
    assert.match(why ?? '', /^what became of an entry of the lineage is not known, .*: down, request 99$/);
    assert.deepEqual([more, lineage.unsettled], [[], undefined], 'one reason while it lasts, and none after it');
  });

  test('that stays unknown because the log is corrupt is no failed append', async () => {
    const medium = new MemoryStorage();
    const lineage = await opened(medium);
    medium.objects.set(entryPath(3), new TextEncoder().encode('{'));
    await assert.rejects(lineage.append(completed(1)), (error) => {
      assert.ok(error instanceof UnsettledAppendError);
      assert.match(String(error.cause), /00000000000000000003\.json is corrupt/);
      return true;
    });
    assert.deepEqual(medium.paths('lineage/'), [entryPath(1), entryPath(2), entryPath(3)]);
  });

  test('ends with a fence when a newer JobManager took the number', async () => {
    const medium = new MemoryStorage();
    let losing = 0;
    const lineage = await opened(
      through(medium, async (path, bytes, real) => {
        if (losing > 0) {
          losing -= 1;
          throw unknown();
        }
        return await real(path, bytes);
      }),
    );
    losing = 1;
    const appending = lineage.append(completed(1));
    await opened(medium, 'pod-2');
    await assert.rejects(appending, isFencedError);
    assert.deepEqual(types(medium), ['Opened', 'Opened']);
  });
});

test('a put that surely failed is told, its number is free, and the next append takes it', async () => {
  const medium = new MemoryStorage();
  const lineage = await opened(medium);
  medium.faults = [{ operation: 'put', path: 'lineage/', outcome: 'NotApplied', retryable: false, once: true }];
  await assert.rejects(lineage.append(completed(1)), { code: 'LineageNotWritable', retry: 'never' });
  assert.equal((await lineage.append(completed(2))).number, 2);
});

describe('rule 2: a collision', () => {
  test('with a newer Opened fences, for good', async () => {
    const medium = new MemoryStorage();
    const old = await opened(medium);
    await opened(medium, 'pod-2');
    await assert.rejects(old.append(completed(1)), isFencedError);
    await assert.rejects(old.append(completed(1)), {
      code: 'Fenced',
      message: /epoch 2 \(pod pod-2, attempt 1\).*holds epoch 1/,
    });
    await assert.rejects(old.checkHead(), isFencedError);
    assert.deepEqual(types(medium), ['Opened', 'Opened']);
  });

  test('with anything else is applied, and what to append is thought over again', async () => {
    const medium = new MemoryStorage();
    const lineage = await opened(medium);
    await lineage.append(completed(1));
    const other = await opened(medium, 'pod-1');
    await other.append(pin);
    // `lineage` is fenced now; a third, which has read before the pin, stands for a tool that pins while it thinks.
    const third = await opened(medium, 'pod-1');
    const release = medium.hold(entryPath(6));
    const heads: number[] = [];
    const appending = third.append((view) => {
      heads.push(view.headNumber);
      return view.pins.some(({ pinId }) => pinId === 'late')
        ? undefined
        : { type: 'Condemned', names: ['chk-000001-e1/_metadata'] };
    });
    medium.objects.set(entryPath(6), bytesOf(medium, 4, { number: 6, nonce: 'tool', epoch: 3, pinId: 'late' }));
    release();
    assert.equal(await appending, undefined);
    assert.deepEqual(heads, [5, 6]);
    assert.deepEqual(types(medium), ['Opened', 'Completed', 'Opened', 'Pinned', 'Opened', 'Pinned']);
  });

  test('while opening makes the decision anew, so that it rests on everything below it', async () => {
    const medium = new MemoryStorage();
    const old = await opened(medium);
    const release = medium.hold(entryPath(2));
    const opening = opened(medium, 'pod-2');
    await waitUntilHeld();
    await old.append(completed(1));
    release();
    const next = await opening;
    assert.equal(next.view.opened?.restored.checkpointId, 1);
    assert.equal(next.view.opened?.number, 3);
  });
});

describe('rule 3: what lies above', () => {
  test('an Opened that landed right after my entry fences me, although my entry is in the log', async () => {
    const medium = new MemoryStorage();
    let after: (() => Promise<unknown>) | undefined;
    const old = await opened(
      through(medium, async (path, bytes, real) => {
        const answer = await real(path, bytes);
        const then = after;
        after = undefined;
        await then?.();
        return answer;
      }),
    );
    after = () => opened(medium, 'pod-2');
    await assert.rejects(old.append(completed(1)), isFencedError);
    const reader = await read(medium);
    assert.equal(reader.view.opened?.restored.checkpointId, 1);
  });

  test('one who opened while another opened above is fenced at once', async () => {
    const medium = new MemoryStorage();
    let after: (() => Promise<unknown>) | undefined = () => opened(medium, 'pod-2');
    const overtaken = opened(
      through(medium, async (path, bytes, real) => {
        const answer = await real(path, bytes);
        const then = after;
        after = undefined;
        await then?.();
        return answer;
      }),
    );
    await assert.rejects(overtaken, isFencedError);
  });

  test('checkHead fences, and takes over what others appended', async () => {
    const medium = new MemoryStorage();
    const lineage = await opened(medium);
    medium.objects.set(entryPath(2), new TextEncoder().encode(JSON.stringify({ ...headerOf(2), ...pin })));
    assert.equal((await lineage.checkHead()).pins.length, 1);
    await opened(medium, 'pod-2');
    await assert.rejects(lineage.checkHead(), isFencedError);
  });

  const short = { ...lineageRules, nextOldestNumber: () => 1 };

  /** A log whose first entries are trimmed: it begins at its newest Opened, number 4. */
  async function trimmed(medium: MemoryStorage): Promise<LineageLog> {
    const rules = { ...lineageRules, nextOldestNumber: lineageRules.nextOldestNumber };
    const lineage = await opened(medium, 'pod-2', 2, {
      ...rules,
      nextOldestNumber: (view, deleted) => lineageRules.nextOldestNumber(view, deleted, 1),
    });
    await lineage.append(completed(2));
    await lineage.append(completed(3));
    await lineage.deleteTrimmedEntries();
    return lineage;
  }

  test('a writer that slept through the trimming writes where the log was, and is fenced all the same', async () => {
    const medium = new MemoryStorage();
    const sleeper = await opened(medium, 'pod-1', 1, short);
    await sleeper.append(completed(1));
    await opened(medium, 'pod-1b', 1, short);
    await trimmed(medium);
    assert.deepEqual(medium.paths('lineage/'), [entryPath(4), entryPath(5), entryPath(6)]);
    await assert.rejects(sleeper.append(completed(9)), isFencedError);
    const reader = await read(medium);
    assert.equal(reader.view.latest?.checkpointId, 3);
    assert.equal(reader.view.oldestNumber, 4);
  });

  test('an Opened that lands right below the trimmed log is no part of it, for its writer and for every reader', async () => {
    const medium = new MemoryStorage();
    const running = await opened(medium, 'pod-1', 1, {
      ...lineageRules,
      nextOldestNumber: (view, deleted) => lineageRules.nextOldestNumber(view, deleted, 1),
    });
    await running.append(completed(1));
    // Has read entries 1 and 2, and will write number 3, next to where the log begins by then. No newer Opened lies above it.
    const release = medium.hold(entryPath(3));
    const opening = opened(medium, 'pod-3', 3);
    await waitUntilHeld();
    await running.append(completed(2));
    await running.append((view) => lineageRules.renewal(view, 1));
    await running.append(completed(3));
    await running.deleteTrimmedEntries();
    release();
    const late = await opening;
    assert.deepEqual(medium.paths('lineage/'), [entryPath(3), entryPath(4), entryPath(5), entryPath(6)]);
    assert.equal(late.view.opened?.number, 6);
    assert.equal(late.view.opened?.restored.checkpointId, 3);
    assert.deepEqual((await read(medium)).view, late.view);
  });

  test('an entry that lands where the log was being trimmed while we read there is no part of it', async () => {
    const medium = new MemoryStorage();
    const running = await opened(medium, 'pod-1', 1, {
      ...lineageRules,
      nextOldestNumber: (view, deleted) => lineageRules.nextOldestNumber(view, deleted, 1),
    });
    await running.append(completed(1));
    const reader = await read(medium);
    await running.append(completed(2));
    // The reader has listed number 3; before it reads it, the log moves on and an Opened of somebody who slept lands in its place.
    const release = medium.hold(entryPath(3), 'get');
    const refreshing = reader.refresh();
    await waitUntilHeld();
    await running.append((view) => lineageRules.renewal(view, 1));
    await running.append(completed(3));
    await running.deleteTrimmedEntries();
    medium.objects.set(entryPath(3), bytesOf(medium, 4, { number: 3, nonce: 'sleeper', epoch: 99, renewal: false }));
    release();
    assert.equal((await refreshing).epoch, 1);
    assert.deepEqual(reader.view, (await read(medium)).view);
  });

  test('trimmed entries are deleted lowest first', async () => {
    const medium = new MemoryStorage();
    await opened(medium, 'pod-1', 1, short);
    await opened(medium, 'pod-1b', 1, short);
    const deleted: string[] = [];
    const remove = medium.delete.bind(medium);
    medium.delete = async (paths) => {
      deleted.push(...paths);
      await remove(paths);
    };
    await trimmed(medium);
    assert.deepEqual(deleted, [entryPath(1), entryPath(2)]);
  });
});

describe('opening', () => {
  const request = {
    owner: 'cluster/default/job',
    adoptFrom: undefined,
    attempt: { number: 1, token: 'attempt-1' },
    podUid: 'pod-1',
    revision: 'r',
  } as const;

  test('that is refused writes nothing', async () => {
    const medium = new MemoryStorage();
    await opened(medium, 'pod-1', 2);
    const decision = await (await read(medium)).open({ ...request, restore: { from: 'Latest' } });
    assert.equal(decision.type === 'Refuse' && decision.error.code, 'AttemptSuperseded');
    assert.deepEqual(types(medium), ['Opened']);
  });

  test('an empty log beside checkpoints is refused: somebody removed the log; None in words is allowed', async () => {
    const medium = new MemoryStorage();
    medium.objects.set('chk-000001-e1/_metadata', new Uint8Array());
    await assert.rejects((await read(medium)).open({ ...request, restore: { from: 'Latest' } }), { code: 'LineageLogLost' });
    assert.deepEqual(types(medium), []);
    const decision = await (await read(medium)).open({ ...request, restore: { from: 'None', token: 't' } });
    assert.equal(decision.type, 'Open');
  });
});

test('a corrupt entry is refused by file and field, and so is one under another number', async () => {
  const medium = new MemoryStorage();
  await (await opened(medium)).append(completed(1));
  const whole = medium.objects.get(entryPath(2)) ?? new Uint8Array();
  medium.objects.set(entryPath(2), whole.slice(0, 40));
  await assert.rejects(read(medium), {
    code: 'LineageEntryCorrupt',
    message: /00000000000000000002\.json is corrupt: is not JSON/,
  });
  medium.objects.set(entryPath(2), bytesOf(medium, 1, {}));
  await assert.rejects(read(medium), { code: 'LineageEntryCorrupt', message: /00000000000000000002\.json.*field number is 1/ });
});

test('a storage that does not answer is named, and worth trying again', async () => {
  const medium = new MemoryStorage();
  medium.faults = [{ operation: 'list', path: '', outcome: 'NotApplied', retryable: true }];
  await assert.rejects(read(medium), { code: 'CheckpointStorageUnavailable', retry: 'backoff', message: /memory:\/\/\/lineage/ });
});

function bytesOf(medium: MemoryStorage, number: number, changes: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ ...JSON.parse(medium.text(entryPath(number))), ...changes }));
}

function headerOf(number: number): object {
  return { format: 1, number, nonce: `tool-${number}`, epoch: 1, writtenAtMs: 0, oldestNumber: 1 };
}

/** Everything that can happen before the held put has happened. */
async function waitUntilHeld(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
