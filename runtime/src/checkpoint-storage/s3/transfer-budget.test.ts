import assert from 'node:assert/strict';
import test from 'node:test';
import { limits } from './limits.ts';
import { clientSizeBytes, TransferBudget, transferShare } from './transfer-budget.ts';

test('a thread has its share of the process, and never less than one part and a few connections', () => {
  assert.deepEqual(transferShare(1), {
    connectionCountMax: limits.connectionCountMax,
    uploadBytesInFlightMax: limits.uploadBytesInFlightMax,
  });
  assert.equal(transferShare(4).connectionCountMax * 4, limits.connectionCountMax);
  assert.equal(transferShare(4).uploadBytesInFlightMax * 4, limits.uploadBytesInFlightMax);
  assert.deepEqual(transferShare(1_000), {
    connectionCountMax: limits.connectionCountPerThreadMin,
    uploadBytesInFlightMax: limits.partSizeBytes,
  });
});

test('the memory of a TaskManager has room for what its threads may upload at once', () => {
  const mebibyte = 1024 * 1024;
  assert.equal(clientSizeBytes(1), (24 + 5 + 32) * mebibyte);
  assert.equal(clientSizeBytes(4), (24 + 4 * 5 + 32) * mebibyte);
  assert.equal(clientSizeBytes(8), (24 + 8 * 5 + 8 * 8) * mebibyte);
});

test('transfers begin in the order in which they asked, as far as connections and bytes allow', async () => {
  const part = limits.partSizeBytes;
  const budget = new TransferBudget({ connectionCountMax: 3, uploadBytesInFlightMax: 2 * part });
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const transfer = (id: number, bytes: number): Promise<void> =>
    budget.useBuffer(bytes, (buffer) => {
      assert.equal(buffer.byteLength, bytes);
      begun.push(id);
      return new Promise((resolve) => {
        ends[id] = resolve;
      });
    });
  const all = [transfer(0, part), transfer(1, 1.5 * part), transfer(2, 1), transfer(3, 3 * part)];
  const settled = async (): Promise<readonly number[]> => {
    await new Promise(setImmediate);
    return begun;
  };
  assert.deepEqual(await settled(), [0], 'the second has no room, and the third does not overtake it');
  ends[0]?.();
  assert.deepEqual(await settled(), [0, 1]);
  ends[1]?.();
  assert.deepEqual(await settled(), [0, 1, 2], 'one that is larger than everything waits until it is alone');
  ends[2]?.();
  assert.deepEqual(await settled(), [0, 1, 2, 3]);
  ends[3]?.();
  await Promise.all(all);
});

test('a transfer that fails gives back what it held', async () => {
  const budget = new TransferBudget({ connectionCountMax: 1, uploadBytesInFlightMax: 1 });
  const failing = budget.useBuffer(1, () => Promise.reject(new Error('no')));
  const next = budget.useBuffer(1, async () => 'yes');
  await assert.rejects(failing, /no/);
  assert.equal(await next, 'yes');
  assert.equal(await budget.use(async () => 'yes'), 'yes');
});
