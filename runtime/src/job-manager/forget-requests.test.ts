// What is made of the TaskManagers' answers. What a TaskManager answers: core/checkpoint/shared-file-registry.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualTime } from '../../test/simulation/virtual-time.ts';
import { ForgetRequests } from './forget-requests.ts';
import { limits } from './limits.ts';

function fixture() {
  const sent: string[] = [];
  const time = new VirtualTime();
  const requests = new ForgetRequests({
    clock: time,
    send: (taskManagerId, requestId, names) => void sent.push(`${taskManagerId} ${requestId} ${names.join()}`),
  });
  return { sent, time, requests };
}

test('a name is forgotten when every TaskManager has said so', async () => {
  const { sent, requests } = fixture();
  const answer = requests.ask(['tm-1', 'tm-2'], ['a', 'b', 'c']);
  assert.deepEqual(sent, ['tm-1 1 a,b,c', 'tm-2 1 a,b,c']);
  requests.answered('tm-1', 1, ['a', 'b']);
  requests.answered('tm-1', 1, ['c']);
  requests.answered('tm-3', 1, []);
  requests.answered('tm-2', 1, ['b', 'c', 'd']);
  assert.deepEqual([...(await answer)], ['b']);
});

test('ids rise, and an answer to an earlier request counts for nothing', async () => {
  const { requests } = fixture();
  const first = requests.ask(['tm-1'], ['a']);
  requests.abandon();
  assert.equal((await first).size, 0);
  const second = requests.ask(['tm-1'], ['a']);
  requests.answered('tm-1', 1, ['a']);
  requests.answered('tm-1', 2, []);
  assert.equal((await second).size, 0);
});

test('without all answers in time nothing is forgotten', async () => {
  const { requests, time } = fixture();
  const answer = requests.ask(['tm-1', 'tm-2'], ['a']);
  requests.answered('tm-1', 1, ['a']);
  await time.run(limits.forgetTimeoutMs, () => false);
  assert.equal((await answer).size, 0);
});
