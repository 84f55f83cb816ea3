/** Whether a process that left its name lives. With real processes: working-directories.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { ownHolder, type ProcessHolder, stateOfHolder } from './process-holder.ts';

const own: ProcessHolder = await ownHolder('tm-1');

test('a process knows itself', async () => {
  assert.equal(own.pid, process.pid);
  assert.equal(await stateOfHolder(own, own), 'Alive');
  assert.deepEqual(await ownHolder('tm-1'), own);
});

test('a pid that another process has now does not keep its former one alive', async () => {
  assert.equal(await stateOfHolder({ ...own, startTime: `${own.startTime}0` }, own), 'Dead');
});

test('no process outlives a reboot', {
  skip: process.platform !== 'linux' && 'only Linux tells one boot from another',
}, async () => {
  const before = { ...own, startTime: own.startTime.replace(/^[^/]*/, '00000000-0000-0000-0000-000000000000') };
  assert.equal(await stateOfHolder({ ...before, pidNamespace: 'pid:[1]', taskManagerId: 'tm-2' }, own), 'Dead');
});

test('a process of another container cannot be judged', async () => {
  assert.equal(await stateOfHolder({ ...own, pidNamespace: 'pid:[1]', taskManagerId: 'tm-2' }, own), 'Unknown');
});

test('the former container of the same TaskManager has ended', async () => {
  assert.equal(await stateOfHolder({ ...own, pidNamespace: 'pid:[1]' }, own), 'Dead');
});
