import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../core/job-error.ts';
import { t } from '../core/types/t.ts';
import {
  allKeyGroups,
  assertJobError,
  assertRejects,
  type BackendFixture,
  keyStates,
  windowStates,
} from './conformance-backends.ts';
import { listState, mapState, reducingState, valueState } from './conformance-fixtures.ts';
import { dump, fill } from './conformance-snapshots.ts';

const withoutCount = [...keyStates.filter(({ declaration }) => declaration.name !== 'count'), ...windowStates];

/** What is refused, and that nothing is changed by it; what is passed over. */
export function testRefusals(fixture: BackendFixture): void {
  test('refuses a value that is not of the declared type, and keeps what it has', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const before = dump(backend);
    backend.setCurrentKey('k1');
    backend.setCurrentNamespace({ start: 1, end: 1 });
    for (const wrong of [1.5, '1', null, undefined, 2 ** 60]) {
      assertJobError(() => backend.value('count').set(wrong), 'ValueNotOfType');
      assertJobError(() => backend.value('windowCount').set(wrong), 'ValueNotOfType');
    }
    assertJobError(() => backend.value('visit').set({ page: '/' }), 'ValueNotOfType');
    assertJobError(() => backend.list('words').add(1), 'ValueNotOfType');
    assertJobError(() => backend.list('words').set(['ok', 1]), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').set(1, 1), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').set('x', '1'), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').get(1), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').has(1), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').delete(1), 'ValueNotOfType');
    assertJobError(() => backend.reducing('highest').add({}), 'ValueNotOfType');
    assertJobError(() => backend.aggregating('average').add('1'), 'ValueNotOfType');
    backend.setCurrentKey('nobody');
    assertJobError(() => backend.value('count').set('1'), 'ValueNotOfType');
    assertJobError(() => backend.reducing('highest').add('1'), 'ValueNotOfType');
    assertJobError(() => backend.map('byName').set('x', '1'), 'ValueNotOfType');
    assert.equal(backend.value('count').get(), undefined);
    assert.deepEqual(dump(backend), before);
  });

  test('refuses keys and namespaces that are not of their types', async () => {
    const backend = await fixture.open();
    for (const wrong of [1, null, undefined, ['a'], { key: 'a' }]) {
      assertJobError(() => backend.setCurrentKey(wrong), 'ValueNotOfType');
      assertJobError(() => {
        backend.prepareBatch(['a', wrong]);
        backend.selectKey(1);
      }, 'ValueNotOfType');
      assertJobError(() => backend.setCurrentNamespace(wrong), 'ValueNotOfType');
      assertJobError(() => {
        backend.prepareBatch(['a'], [wrong]);
        backend.selectKey(0);
      }, 'ValueNotOfType');
    }
  });

  test('knows only the states that are declared, each as what it is', async () => {
    const backend = await fixture.open();
    assert.throws(() => backend.value('nothing'), { name: 'AssertionError' });
    assert.throws(() => backend.list('count'), { name: 'AssertionError' });
    assert.throws(() => backend.value('highest'), { name: 'AssertionError' });
    assert.throws(() => backend.reducing('average'), { name: 'AssertionError' });
  });

  test('refuses to be used before a key, and where it counts a namespace, is current', async () => {
    const backend = await fixture.open();
    assert.throws(() => backend.value('count').get(), { name: 'AssertionError' });
    backend.setCurrentKey('a');
    assert.equal(backend.value('count').get(), undefined);
    assert.throws(() => backend.value('windowCount').get(), { name: 'AssertionError' });
    assert.throws(() => backend.registerTimer('EventTime', 5), { name: 'AssertionError' });
    const without = await fixture.open({ namespaceType: undefined, states: keyStates });
    assert.throws(() => without.setCurrentNamespace({ start: 0, end: 1 }), { name: 'AssertionError' });
  });

  test('refuses a part that is truncated or changed anywhere', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const part = await fixture.checkpoint(backend);
    const { bytes } = part;
    const step = Math.max(1, Math.floor(bytes.length / 61));
    for (let length = 0; length < bytes.length; length += step) {
      await assertRejects(fixture.open({}, [{ ...part, bytes: bytes.subarray(0, length) }]), 'StateCorrupt');
    }
    for (let index = 0; index < bytes.length; index += step) {
      const changed = bytes.slice();
      changed[index] = (changed[index] ?? 0) ^ 0x10;
      await assert.rejects(fixture.open({}, [{ ...part, bytes: changed }]), JobError);
    }
  });

  test('refuses a part whose declarations are not its own', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const part = await fixture.checkpoint(backend);
    const ttl = { ttlMs: 1000, renewedBy: 'Write' } as const;
    for (const count of [
      valueState('count', t.string),
      valueState('count', t.int, { namespaced: true }),
      valueState('count', t.int, { ttl }),
      listState('count', t.int),
      mapState('count', t.int, t.int),
      reducingState('count', t.int, (a) => a),
    ]) {
      await assertRejects(fixture.open({ states: [...withoutCount, count] }, [part]), 'StateTypeChanged');
    }
    await assertRejects(fixture.open({ keyType: t.int }, [part]), 'StateTypeChanged');
    await assertRejects(fixture.open({ namespaceType: t.int }, [part]), 'StateTypeChanged');
    await assertRejects(fixture.open({ namespaceType: undefined, states: keyStates }, [part]), 'StateTypeChanged');
    const doubled = { maxParallelism: 256, keyGroups: { first: 0, last: 255 } };
    await assertRejects(fixture.open(doubled, [part]), 'MaxParallelismChanged');
  });

  test('takes a part whose entries have another time to live', async () => {
    const states = (ttlMs: number) => [valueState('count', t.int, { ttl: { ttlMs, renewedBy: 'Write' } })];
    const backend = await fixture.open({ states: states(1000) });
    backend.setCurrentKey('a');
    backend.value('count').set(1);
    const restored = await fixture.reopen(backend, { states: states(5000) });
    fixture.nowMs += 999;
    restored.setCurrentKey('a');
    assert.equal(restored.value('count').get(), 1);
    restored.setCurrentKey('b');
    restored.value('count').set(2);
    fixture.nowMs += 4999;
    assert.equal(restored.value('count').get(), 2);
    restored.setCurrentKey('a');
    assert.equal(restored.value('count').get(), undefined);
  });

  test('passes over a state and timers that the operator no longer has, and does not find them again', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const expected = dump(backend);
    const without = await fixture.reopen(backend, { states: withoutCount, timers: false });
    assert.equal(without.nextTimerMs('EventTime'), undefined);
    assert.equal(without.nextTimerMs('ProcessingTime'), undefined);
    without.setCurrentKey('k1');
    assert.deepEqual(without.list('words').get(), ['x', 'k1']);
    const again = await fixture.reopen(without);
    assert.deepEqual(
      dump(again),
      expected
        .filter((line) => !/^(EventTime|ProcessingTime) /u.test(line))
        .map((line) => (/^k\d+ count /u.test(line) ? line.replace(/count .*/u, 'count undefined') : line))
        .sort(),
    );
  });

  test('starts a state empty that the part does not have, and leaves the others as they are', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const expected = dump(backend);
    const added = [valueState('added', t.int), mapState('addedByWindow', t.int, t.int, { namespaced: true })];
    const states = [...added, ...[...windowStates, ...keyStates].reverse()];
    const restored = await fixture.reopen(backend, { states });
    restored.setCurrentKey('k1');
    restored.setCurrentNamespace({ start: 1, end: 1 });
    assert.equal(restored.value('added').get(), undefined);
    assert.deepEqual([...restored.map('addedByWindow').entries()], []);
    restored.value('added').set(7);
    restored.map('addedByWindow').set(1, 1);
    assert.deepEqual(dump(restored), expected);
    const part = await fixture.checkpoint(restored);
    const again = await fixture.open({ states: [...keyStates, ...windowStates, ...added] }, [part]);
    again.setCurrentKey('k1');
    assert.equal(again.value('added').get(), 7);
    assert.deepEqual(dump(again), expected);
  });

  test('takes of a part only what is in its key groups', async () => {
    const backend = await fixture.open();
    fill(backend, 'x');
    const keyGroups = { first: 40, last: 77 };
    const restored = await fixture.open({ keyGroups }, [await fixture.checkpoint(backend)]);
    assert.deepEqual(dump(restored, keyGroups), await dumpRange(keyGroups));
    const whole = await fixture.reopen(restored);
    assert.deepEqual(dump(whole), await dumpRange(keyGroups, allKeyGroups));
  });

  /** Of a backend that was filled within the range only. */
  async function dumpRange(filled: typeof allKeyGroups, dumped = filled): Promise<readonly string[]> {
    const backend = await fixture.open();
    fill(backend, 'x', filled);
    return dump(backend, dumped);
  }
}
