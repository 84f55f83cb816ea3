// Condemning, waiting, deleting and trimming against a storage (rules 8 and 16). What may be condemned is tested in core/lineage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStorage } from '../../test/fakes/memory-storage.ts';
import { VirtualTime } from '../../test/simulation/virtual-time.ts';
import { JobError } from '../core/job-error.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { sharedFilePath } from '../core/lineage/object-paths.ts';
import { type HousekeepingFacts, LineageHousekeeping } from './lineage-housekeeping.ts';
import { isFencedError, LineageLog } from './lineage-log.ts';

const graceMs = 1_000;
const facts: HousekeepingFacts = {
  ...{ inUse: [], settledBelowId: 100, isQuiet: false, sweep: false },
  ...{ namesInFlight: () => new Set<string>(), lostAttemptMax: () => 0 },
};

class Fixture {
  readonly storage = new MemoryStorage();
  readonly time = new VirtualTime();
  readonly warnings: string[] = [];
  readonly log = {
    debug() {},
    info() {},
    warn: (_fields: object, message: string) => void this.warnings.push(message),
    error() {},
  };
  unreadable: string | undefined;
  /** What TaskManagers were asked to forget, and what they will not. */
  readonly asked: (readonly string[])[] = [];
  readonly held = new Set<string>();
  /** By manifest path: names in `shared/`. */
  readonly shared = new Map<string, readonly string[]>();
  #nonces = 0;

  async open(podUid = 'pod-1'): Promise<{ readonly lineage: LineageLog; readonly housekeeping: LineageHousekeeping }> {
    const { storage, time: clock, log } = this;
    const nonce = (): string => {
      this.#nonces += 1;
      return String(this.#nonces);
    };
    const rules = {
      ...lineageRules,
      nextOldestNumber: (...[view, deleted]: Parameters<typeof lineageRules.nextOldestNumber>) =>
        lineageRules.nextOldestNumber(view, deleted, 2),
      renewal: (...[view]: Parameters<typeof lineageRules.renewal>) => lineageRules.renewal(view, 8),
    };
    const lineage = await LineageLog.read({ storage, clock, nonce, log }, rules);
    const attempt = { number: 1, token: 't' };
    const decision = await lineage.open({
      ...{ owner: 'c/d/j', adoptFrom: undefined, attempt, podUid, revision: 'r', restore: { from: 'Latest' } },
    });
    assert.equal(decision.type, 'Open');
    const housekeeping = new LineageHousekeeping(
      lineage,
      rules,
      {
        ...{ storage, clock, log },
        namesOf: async (record) => this.#namesOf(record),
        forget: async (names) => {
          this.asked.push(names);
          return new Set(names.filter((name) => !this.held.has(name)));
        },
      },
      { retain: 2, deleteGraceMs: graceMs },
    );
    return { lineage, housekeeping };
  }

  async complete(lineage: LineageLog, checkpointId: number, shared: readonly string[] = []): Promise<void> {
    const folder = `chk-${String(checkpointId).padStart(6, '0')}-e${lineage.epoch}`;
    await this.storage.putIfAbsent(`${folder}/_metadata`, new Uint8Array(1));
    await this.storage.putIfAbsent(`${folder}/state`, new Uint8Array(1));
    this.shared.set(`${folder}/_metadata`, shared);
    for (const path of shared) {
      await this.storage.putIfAbsent(path, new Uint8Array(1));
    }
    await lineage.append({
      ...{ type: 'Completed', checkpointId, kind: 'Checkpoint', stateSizeBytes: 1, triggeredAtMs: 0, operationId: undefined },
      manifest: { path: `${folder}/_metadata`, sizeBytes: 1, sha256: 'ab' },
    });
  }

  async pass(durationMs: number): Promise<void> {
    await this.time.run(this.time.monotonicMs() + durationMs, () => false);
  }

  #namesOf({ manifest }: CheckpointRecord): readonly string[] {
    if (manifest.path === this.unreadable) {
      throw new JobError('cut', { domain: 'external', retry: 'never', code: 'CheckpointDamaged' });
    }
    return [manifest.path, manifest.path.replace('_metadata', 'state'), ...(this.shared.get(manifest.path) ?? [])];
  }
}

const first = ['chk-000001-e1/_metadata', 'chk-000001-e1/state'];

test('a subsumed checkpoint is condemned, stays for the grace period, and is deleted', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  for (const id of [1, 2, 3]) {
    await fixture.complete(lineage, id);
  }
  await housekeeping.run(facts);
  assert.deepEqual(
    lineage.view.condemnations.map(({ names }) => names),
    [first],
  );
  await fixture.pass(graceMs - 1);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('chk-000001'), first);
  await fixture.pass(1);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('chk-000001'), []);
  assert.equal(fixture.storage.paths('chk-').length, 4);
});

test('what is in use is not condemned until it is free', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  for (const id of [1, 2, 3]) {
    await fixture.complete(lineage, id);
  }
  await housekeeping.run({ ...facts, inUse: ['chk-000001-e1/_metadata'] });
  assert.deepEqual(lineage.view.condemnations, []);
  await housekeeping.run(facts);
  assert.equal(lineage.view.condemnations.length, 1);
});

test('a successor finishes the deleting, with a grace period of its own', async () => {
  const fixture = new Fixture();
  const old = await fixture.open();
  for (const id of [1, 2, 3]) {
    await fixture.complete(old.lineage, id);
  }
  await old.housekeeping.run(facts);
  await fixture.pass(graceMs - 1);
  const { housekeeping } = await fixture.open('pod-2');
  await fixture.pass(graceMs - 1);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('chk-000001'), first);
  await fixture.pass(1);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('chk-000001'), []);
  await fixture.storage.putIfAbsent('chk-000009-e1/left', new Uint8Array(1));
  await assert.rejects(old.housekeeping.run({ ...facts, sweep: true }), isFencedError);
});

test('a sweep takes what a dead predecessor left unfinished, and nothing that is in progress', async () => {
  const fixture = new Fixture();
  const old = await fixture.open();
  await fixture.complete(old.lineage, 1);
  const { housekeeping } = await fixture.open('pod-2');
  const leftovers = ['chk-000002-e1/_metadata', 'chk-000002-e1/state', 'chk-000002-e2/aborted'];
  for (const path of [...leftovers, 'chk-000003-e2/in-progress']) {
    await fixture.storage.putIfAbsent(path, new Uint8Array(1));
  }
  await housekeeping.run({ ...facts, settledBelowId: 3, sweep: true });
  await fixture.pass(graceMs);
  await housekeeping.run({ ...facts, settledBelowId: 3, sweep: true });
  assert.deepEqual(fixture.storage.paths('chk-'), [...first, 'chk-000003-e2/in-progress']);
  assert.deepEqual(
    fixture.storage.entries().flatMap(({ type, names }) => (type === 'Condemned' ? [names] : [])),
    [leftovers],
  );
});

test('while a manifest cannot be read nothing is condemned, and what was condemned before is still deleted', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  for (const id of [1, 2, 3]) {
    await fixture.complete(lineage, id);
  }
  await housekeeping.run(facts);
  await fixture.complete(lineage, 4);
  fixture.unreadable = 'chk-000004-e1/_metadata';
  await fixture.pass(graceMs);
  await housekeeping.run({ ...facts, sweep: true });
  assert.equal(lineage.view.condemnations.length, 1);
  assert.deepEqual(fixture.storage.paths('chk-000001'), []);
  assert.deepEqual(fixture.warnings, ['a manifest cannot be read; nothing is deleted until it can']);
  fixture.unreadable = undefined;
  await housekeeping.run(facts);
  assert.deepEqual(lineage.view.condemnations.at(-1)?.names, ['chk-000002-e1/_metadata', 'chk-000002-e1/state']);
});

test('a manifest that is lost keeps nothing but what others name, once its checkpoint may go', async () => {
  const fixture = new Fixture();
  const alone = sharedFilePath({ epoch: 1, sha256: 'ab'.repeat(32), executionAttempt: 1, forgetRequest: 0 });
  const together = sharedFilePath({ epoch: 1, sha256: 'cd'.repeat(32), executionAttempt: 1, forgetRequest: 0 });
  const { lineage, housekeeping } = await fixture.open();
  await fixture.complete(lineage, 1, [alone, together]);
  fixture.unreadable = 'chk-000001-e1/_metadata';
  await fixture.complete(lineage, 2, [together]);
  await housekeeping.run({ ...facts, sweep: true });
  assert.deepEqual(lineage.view.condemnations, [], 'it stays, and so does whatever it names');
  await fixture.complete(lineage, 3, [together]);
  await lineage.append({ type: 'Pinned', pinId: 'p', checkpoint: 'chk-000001-e1/_metadata', for: 'f' });
  await housekeeping.run({ ...facts, sweep: true });
  assert.deepEqual(lineage.view.condemnations, []);
  await lineage.append({ type: 'Unpinned', pinId: 'p' });
  await housekeeping.run({ ...facts, sweep: true });
  assert.deepEqual(
    lineage.view.condemnations.map(({ names }) => names),
    [[...first, alone]],
  );
});

test('a storage that fails leaves the rest for the next time', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  for (const id of [1, 2, 3]) {
    await fixture.complete(lineage, id);
  }
  await housekeeping.run(facts);
  await fixture.pass(graceMs);
  fixture.storage.faults = [{ operation: 'delete', path: 'chk-', outcome: 'Unknown', retryable: true, once: true }];
  await housekeeping.run(facts);
  assert.equal(fixture.warnings.length, 1);
  assert.deepEqual(fixture.storage.paths('chk-000001'), first);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('chk-000001'), []);
});

test('a log that lives long stays short, and says the same', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  for (let id = 1; id <= 60; id += 1) {
    await fixture.complete(lineage, id);
    await fixture.pass(graceMs / 2);
    await housekeeping.run(facts);
  }
  const numbers = fixture.storage.paths('lineage/');
  assert.ok(numbers.length < 24, `${numbers.length} entries`);
  assert.ok(lineage.view.headNumber > 100);
  assert.deepEqual(
    lineage.view.checkpoints.map(({ checkpointId }) => checkpointId),
    [59, 60],
  );
  assert.equal(lineage.view.epoch, 1);
  const { lineage: next } = await fixture.open('pod-2');
  assert.equal(next.view.latest?.checkpointId, 60);
  assert.equal(next.view.nextCheckpointId, 61);
  assert.deepEqual(next.view.supersededPodUids, ['pod-1']);
});

const [a, b, c] = ['a', 'b', 'c'].map((digit) =>
  sharedFilePath({ epoch: 1, sha256: digit.repeat(64), executionAttempt: 1, forgetRequest: 0 }),
) as [string, string, string];

test('a shared file goes with the last checkpoint that names it, in one entry, once every TaskManager has forgotten it', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  await fixture.complete(lineage, 1, [a, b]);
  await fixture.complete(lineage, 2, [b]);
  await fixture.complete(lineage, 3, [b, c]);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.asked, [[a]]);
  assert.deepEqual(
    lineage.view.condemnations.map(({ names }) => names),
    [[...first, a]],
  );
  await fixture.pass(graceMs);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.storage.paths('shared/'), [b, c]);
});

test('what a TaskManager still has waits and is asked for again; the rest of its checkpoint goes', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  fixture.held.add(a);
  await fixture.complete(lineage, 1, [a]);
  await fixture.complete(lineage, 2);
  await fixture.complete(lineage, 3);
  await housekeeping.run(facts);
  assert.equal(housekeeping.isWaiting, true);
  assert.deepEqual(lineage.view.condemnations.at(-1)?.names, first);
  await housekeeping.run(facts);
  assert.deepEqual(fixture.asked, [[a], [a]]);
  fixture.held.clear();
  await housekeeping.run(facts);
  assert.deepEqual(lineage.view.condemnations.at(-1)?.names, [a]);
  assert.equal(housekeeping.isWaiting, false);
});

test('what waited and is named by a newer checkpoint stays', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  fixture.held.add(a);
  await fixture.complete(lineage, 1, [a]);
  await fixture.complete(lineage, 2);
  await fixture.complete(lineage, 3);
  await housekeeping.run(facts);
  await fixture.complete(lineage, 4, [a]);
  fixture.held.clear();
  await housekeeping.run(facts);
  assert.equal(housekeeping.isWaiting, false);
  assert.ok(lineage.view.condemnations.every(({ names }) => !names.includes(a)));
});

test('a file that vanished before a checkpoint named it is found by the sweep; an acknowledged one is not taken', async () => {
  const fixture = new Fixture();
  const { lineage, housekeeping } = await fixture.open();
  await fixture.complete(lineage, 1, [a]);
  for (const path of [b, c]) {
    await fixture.storage.putIfAbsent(path, new Uint8Array(1));
  }
  await housekeeping.run({ ...facts, sweep: true, namesInFlight: () => new Set([c]) });
  assert.deepEqual(fixture.asked, [[b, c]]);
  assert.deepEqual(lineage.view.condemnations.at(-1)?.names, [b]);
});

test('what a lost TaskManager may still write is not condemned before its lease has ended, or a newer epoch', async () => {
  const fixture = new Fixture();
  const { housekeeping } = await fixture.open();
  await fixture.storage.putIfAbsent(a, new Uint8Array(1));
  await housekeeping.run({ ...facts, sweep: true, lostAttemptMax: () => 1 });
  assert.equal(housekeeping.isWaiting, true);
  const next = await fixture.open('pod-2');
  await next.housekeeping.run({ ...facts, sweep: true, lostAttemptMax: () => 1 });
  assert.deepEqual(next.lineage.view.condemnations.at(-1)?.names, [a]);
});

test('files of a newer epoch are its own', async () => {
  const fixture = new Fixture();
  const { housekeeping, lineage } = await fixture.open();
  await fixture.storage.putIfAbsent(a.replace('e1-', 'e2-'), new Uint8Array(1));
  await housekeeping.run({ ...facts, sweep: true });
  assert.deepEqual([fixture.asked, lineage.view.condemnations], [[], []]);
});
