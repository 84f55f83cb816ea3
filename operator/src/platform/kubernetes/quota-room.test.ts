import assert from 'node:assert/strict';
import { test } from 'node:test';
import { demandOfClaim, demandOfPod, parseQuantity, sum } from './pod-demand.ts';
import { type ResourceQuota, roomIn } from './quota-room.ts';

// What pods count for, and whether they fit. That an API server counts so too is asked in test/api/pre-flight-refusals.test.ts.

const quota = (hard: object, used: object = {}, spec: object = {}) =>
  ({
    ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'small' }, spec, status: { hard, used } },
  }) as unknown as ResourceQuota;
const memory = (text: string) => ({ resources: { requests: { memory: text }, limits: { memory: text } } });
const demand = {
  jobManager: demandOfPod({ containers: [memory('1Gi')] }),
  taskManager: demandOfPod({ containers: [memory('2Gi')] }),
};

test('quantities are read as Kubernetes writes them', () => {
  for (const [text, value] of [
    ['100m', 0.1],
    ['2', 2],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['2e3', 2000],
    ['1E', 1e18],
    [3, 3],
  ] as const) {
    assert.equal(parseQuantity(text), value, String(text));
  }
  assert.ok(Number.isNaN(parseQuantity('much')));
});

test('a pod counts for what runs at once: sidecars with all the others, init containers one after the other', () => {
  const counted = demandOfPod({
    initContainers: [{ ...memory('1Gi'), restartPolicy: 'Always' }, memory('5Gi'), memory('1Gi')],
    containers: [memory('2Gi'), memory('1Gi')],
  });
  assert.equal(counted['requests.memory'], 6 * 2 ** 30);
  assert.equal(demandOfPod({ containers: [{ resources: { limits: { cpu: '2' } } }] })['requests.cpu'], 2);
});

test('a volume that is made for each pod counts as its claim', () => {
  const claim = { storageClassName: 'local-ssd', resources: { requests: { storage: '50Gi' } } };
  const counted = demandOfPod({ volumes: [{ name: 'state', ephemeral: { volumeClaimTemplate: { spec: claim } } }] });
  assert.equal(counted['requests.storage'], 50 * 2 ** 30);
  assert.equal(counted['local-ssd.storageclass.storage.k8s.io/persistentvolumeclaims'], 1);
  assert.deepEqual(counted, { ...demandOfClaim(claim), pods: 1, 'count/pods': 1 });
});

test('there is room for what is left by others, whatever this job uses now', () => {
  const leaving = sum([demand.jobManager, demand.taskManager]);
  assert.equal(roomIn([quota({ memory: '6Gi' }, { memory: '4Gi' })], demand, leaving)?.taskManagersMax, 2);
  assert.equal(roomIn([quota({ memory: '6Gi' }, { memory: '4Gi' })], demand, {})?.taskManagersMax, 0);
});

test('the tightest of all quotas counts, and says what it leaves', () => {
  const room = roomIn([quota({ memory: '100Gi' }), quota({ pods: '3' }, { pods: '1' }), quota({ services: '1' })], demand, {});
  assert.equal(room?.taskManagersMax, 1);
  assert.match(room.problem.message, /quota small leaves 2 of pods \(3\) to this job/);
  assert.equal(roomIn([], demand, {}), undefined);
  assert.equal(roomIn([quota({ services: '1' })], demand, {}), undefined);
});

test('a quota for other pods has no say', () => {
  const tight = { pods: '0' };
  const selecting = (operator: string, values: readonly string[] = []) => ({
    scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, values }] },
  });
  assert.equal(roomIn([quota(tight, {}, { scopes: ['Terminating'] })], demand, {}), undefined);
  assert.equal(roomIn([quota(tight, {}, { scopes: ['BestEffort'] })], demand, {}), undefined);
  assert.equal(roomIn([quota(tight, {}, selecting('In', ['high']))], demand, {}), undefined);
  assert.ok(roomIn([quota(tight, {}, { scopes: ['NotTerminating'] })], demand, {}));
  assert.ok(roomIn([quota(tight, {}, selecting('In', ['high']))], { ...demand, priorityClassName: 'high' }, {}));
});
