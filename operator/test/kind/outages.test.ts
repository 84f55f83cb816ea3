/**
 * What befalls a cluster as a whole, and what two jobs in it make of it. `steady` has nothing of its own: nodes under it are drained, the S3 server is away, the API server
 * dies, the control plane stands still. `bound` has its working state on volumes of one node each, and loses a node for all that time.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sharedDirectory } from '../../../hack/kind/paths.ts';
import { findCondition } from '../../src/api/conditions.ts';
import {
  drainNode,
  killApiServer,
  lookDuring,
  pauseControlPlane,
  startStorage,
  stopStorage,
  uncordonNode,
  untilOperatorLeads,
} from './cluster-faults.ts';
import { kubectl, listAll, type PodInCluster, pauseNode, unpauseNode, until } from './cluster-under-test.ts';
import { checkpointStorage, compareTokens, JobInCluster, newestToken, tokenOf } from './job-in-cluster.ts';
import { Story } from './story.ts';

const steady = new JobInCluster('steady', { recordCount: 200_000, recordsPerSecond: 200 });
const bound = new JobInCluster('bound', { recordCount: 200_000, recordsPerSecond: 200 });
const story = new Story(steady, bound);
const nodes = ['flinkjob-worker', 'flinkjob-worker2'];
/** JobManager and two TaskManagers. */
const podCount = 3;
const outageMs = 60_000;
/** The node that `bound` loses. */
let lostNode = '';
let lostAtMs = 0;
let boundBefore: ReturnType<typeof newestToken> = [0, 0];

after(async () => {
  // Also when a step failed: the next file needs them.
  await startStorage();
  if (lostNode !== '') {
    await unpauseNode(lostNode);
  }
  for (const node of nodes) {
    await uncordonNode(node);
  }
});

test(
  'a job runs on both workers',
  story.step(async () => {
    await steady.apply();
    await steady.untilRunning();
    await steady.untilMoreIsCommitted();
    assert.deepEqual(nodesOf(await steady.pods('taskmanager')), nodes);
  }),
);

for (const [which, choose] of [
  ['that has a TaskManager and not the JobManager', (own: string, ofJobManager: string) => own !== ofJobManager],
  ['that has the JobManager and, since then, all of it', (own: string, ofJobManager: string) => own === ofJobManager],
] as const) {
  test(
    `a worker ${which} is drained: one pod goes at a time, and the job goes on elsewhere`,
    story.step(async () => {
      const [ofJobManager = ''] = nodesOf(await steady.pods('jobmanager'));
      const node = nodes.find((each) => choose(each, ofJobManager)) ?? '';
      const before = newestToken(steady.committed());
      const startedAtMs = performance.now();
      const { seen: healthyCounts } = await lookDuring(() => healthyPodCount(steady), drainNode(node));
      const drainedAfter = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
      assert.ok(
        Math.min(...healthyCounts) >= podCount - 1,
        `never is more than one pod away; ready were ${healthyCounts.join(', ')}`,
      );
      const all = await until('all pods of the job are ready', async () =>
        (await healthyPodCount(steady)) === podCount
          ? [...(await steady.pods('jobmanager')), ...(await steady.pods('taskmanager'))]
          : undefined,
      );
      assert.ok(!nodesOf(all).includes(node), `nothing of the job is on ${node}`);
      const seconds = await steady.untilCommittedAgain(startedAtMs, before);
      await steady.untilMoreIsCommitted();
      await steady.expectExactOutput();
      await uncordonNode(node);
      return `drained in ${drainedAfter} s, commits again after ${seconds.toFixed(1)} s`;
    }),
  );
}

test(
  'a job runs with its working state on volumes of its nodes',
  story.step(async () => {
    const localStorage = { size: '1Gi', storageClassName: 'standard', lifetime: 'Attempt' };
    await bound.apply({ state: { backend: 'RocksDB', checkpointStorage, localStorage } });
    await bound.untilRunning();
    await bound.untilMoreIsCommitted();
    assert.deepEqual(nodesOf(await bound.pods('taskmanager')), nodes);
    assert.equal((await claimsOf(bound)).length, 2);
  }),
);

test(
  'a node with one of these volumes stops',
  story.step(async () => {
    // The other job has all its pods on one node, and is to keep them.
    const [taken] = nodesOf(await steady.pods('jobmanager'));
    const node = nodes.find((each) => each !== taken) ?? '';
    boundBefore = newestToken(bound.committed());
    [lostNode, lostAtMs] = [node, Date.now()];
    await pauseNode(node);
    return node;
  }),
);

test(
  'S3 is away for a minute: the FlinkJob says so, the job runs on, and its checkpoints go on by themselves',
  story.step(async () => {
    await steady.untilRunning();
    const before = await steady.whatRuns();
    await stopStorage();
    try {
      const [status] = await Promise.all([
        steady.untilStatus('says that its checkpoints are late, and why', ({ conditions }) => {
          const { reason, message = '' } = findCondition(conditions, 'CheckpointFresh') ?? {};
          return reason === 'CheckpointStale' && /s3:\/\/checkpoints\/jobs.*nobody listens there \(ECONNREFUSED\)/s.test(message);
        }),
        sleep(outageMs),
      ]);
      assert.equal(status.state, 'Running');
      assert.equal((await steady.untilEvent('CheckpointStale', /No checkpoint was completed/)).type, 'Warning');
    } finally {
      await startStorage();
    }
    const backAtMs = performance.now();
    await steady.untilMoreIsCommitted();
    const seconds = ((performance.now() - backAtMs) / 1_000).toFixed(1);
    await steady.untilStatus(
      'completes checkpoints again',
      ({ conditions }) => findCondition(conditions, 'CheckpointFresh')?.reason === 'CheckpointFresh',
    );
    await steady.untilEvent('CheckpointFresh', /./);
    assert.deepEqual(await steady.whatRuns(), before, 'no task began again');
    await steady.expectExactOutput();
    return `commits again ${seconds} s after it was back`;
  }),
);

test(
  'the API server is killed and comes back: nothing of the job starts again',
  story.step(async () => {
    return await unnoticed(killApiServer);
  }),
);

test(
  'the control plane stands still for a minute: the job goes on, nothing of it starts again, and the operator leads again',
  story.step(async () => {
    return await unnoticed(() =>
      pauseControlPlane(outageMs, async () => {
        await steady.untilMoreIsCommitted();
      }),
    );
  }),
);

test(
  'the job that lost a node has come back without it, on a new volume',
  story.step(async () => {
    await bound.untilCommittedAgain(performance.now(), boundBefore);
    await bound.untilEvent('Unschedulable', /PersistentVolume/);
    const again = bound.committed().filter((part) => compareTokens(tokenOf(part), boundBefore) > 0);
    const againAtMs = Math.min(...again.map((part) => statSync(join(sharedDirectory, bound.name, part)).mtimeMs));
    const all = [...(await bound.pods('jobmanager')), ...(await bound.pods('taskmanager'))];
    assert.equal(all.length, podCount);
    assert.ok(!nodesOf(all).includes(lostNode), `nothing of the job is on ${lostNode}`);
    assert.equal((await claimsOf(bound)).length, 2);
    await bound.expectExactOutput();
    return `commits again ${((againAtMs - lostAtMs) / 1_000).toFixed(1)} s after the node was lost`;
  }),
);

test(
  'the node is back: what ran there commits nothing more, and is removed',
  story.step(async () => {
    const ofOldRuns = (): readonly string[] => bound.committed().filter((part) => compareTokens(tokenOf(part), boundBefore) <= 0);
    const committedBefore = ofOldRuns();
    const before = await bound.whatRuns();
    await unpauseNode(lostNode);
    const node = lostNode;
    lostNode = '';
    await until(`the old pods on ${node} are gone`, async () => {
      const there = await listAll<PodInCluster>(bound.namespace, 'pods', `flinkjob.dev/name=${bound.name}`);
      return there.some(({ spec }) => spec?.nodeName === node) ? undefined : true;
    });
    await bound.untilMoreIsCommitted();
    assert.deepEqual(ofOldRuns(), committedBefore, 'an older run commits nothing when it wakes up');
    assert.deepEqual(await bound.whatRuns(), before);
  }),
);

test(
  'in the end the output of both is exact, their bucket clean, and their volumes are gone',
  story.step(async () => {
    await Promise.all([steady.hurry(), bound.hurry()]);
    const said = await Promise.all([steady.finishExactly(), bound.finishExactly()]);
    assert.deepEqual(await claimsOf(bound), []);
    return said.join('; ');
  }),
);

/** What `befalls` the cluster changes nothing of `steady`, which goes on, is looked after by an operator that leads afterwards, and whose output is exact. */
async function unnoticed(befall: () => Promise<void>): Promise<string> {
  const before = await steady.whatRuns();
  await befall();
  const startedAtMs = performance.now();
  const leader = await untilOperatorLeads();
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  await steady.untilLookedAfter();
  await steady.untilMoreIsCommitted();
  assert.deepEqual(await steady.whatRuns(), before);
  await steady.expectExactOutput();
  return `${leader.split('_')[0]} leads ${seconds} s after it was over`;
}

/** In one look: two would tell of two moments. */
async function healthyPodCount({ name, namespace }: JobInCluster): Promise<number> {
  const selector = `flinkjob.dev/name=${name},flinkjob.dev/component in (jobmanager,taskmanager)`;
  const pods = await listAll<PodInCluster>(namespace, 'pods', selector);
  return pods.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  ).length;
}

async function claimsOf(job: JobInCluster): Promise<readonly string[]> {
  const claims = ['get', 'persistentvolumeclaims', `--selector=flinkjob.dev/name=${job.name}`, '--output=name'];
  return (await kubectl('--namespace', job.namespace, ...claims)).split('\n').filter(Boolean);
}

function nodesOf(pods: readonly PodInCluster[]): readonly string[] {
  return pods.map(({ spec }) => spec?.nodeName ?? '').toSorted();
}
