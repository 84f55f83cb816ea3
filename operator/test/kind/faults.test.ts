/**
 * What goes wrong under a job in a cluster: containers, pods and nodes are lost, with the operator and without it. It is one job, which has lost nothing and has nothing
 * twice after each of them. Each time that is printed is from the fault to output of the job's next run that is committed: processing began a checkpoint earlier.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  jobNamespace,
  killContainer,
  kubectl,
  listAll,
  operatorDeployment,
  operatorNamespace,
  type PodInCluster,
  pauseNode,
  scaleOperator,
  unpauseNode,
  until,
} from './cluster-under-test.ts';
import { compareTokens, JobInCluster, newestToken, tokenOf } from './job-in-cluster.ts';
import { Story } from './story.ts';

const job = new JobInCluster('faults', { recordCount: 400_000, recordsPerSecond: 500 });
const story = new Story(job);
const pausedNodes = new Set<string>();
after(async () => {
  // Also when a step failed: the next run needs them.
  for (const node of pausedNodes) {
    await unpauseNode(node);
  }
});

test(
  'it runs, with a TaskManager on each worker',
  story.step(async () => {
    await job.apply();
    await job.untilRunning();
    await job.untilMoreIsCommitted();
    assert.deepEqual(nodesOf(await job.pods('taskmanager')), ['flinkjob-worker', 'flinkjob-worker2']);
  }),
);

test(
  'a TaskManager is killed',
  story.step(async () =>
    recovery(async () => {
      const victim = one(await job.pods('taskmanager'));
      await killContainer(victim);
      return async () => {
        const again = await until('its container has been started again', async () =>
          (await job.pods('taskmanager')).find(
            ({ metadata, status }) =>
              metadata.uid === victim.metadata.uid && (status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
          ),
        );
        assert.equal(again.spec?.nodeName, victim.spec?.nodeName);
      };
    }),
  ),
);

test(
  'the pod of a TaskManager is deleted',
  story.step(async () => recovery(async () => removeByForce(one(await job.pods('taskmanager'))))),
);

test(
  'the pod of the JobManager is deleted',
  story.step(async () => recovery(async () => removeByForce(one(await job.pods('jobmanager'))))),
);

test(
  'both are deleted',
  story.step(async () =>
    recovery(async () => removeByForce(one(await job.pods('taskmanager')), one(await job.pods('jobmanager')))),
  ),
);

let whileAway: Awaited<ReturnType<typeof picture>>;

test(
  'without its operator it runs on',
  story.step(async () => {
    await job.untilRunning();
    whileAway = await picture();
    await scaleOperator(0);
    await job.untilMoreIsCommitted();
  }),
);

test(
  'a TaskManager dies while there is no operator',
  story.step(async () => recovery(async () => removeByForce(one(await job.pods('taskmanager'))))),
);

for (const [which, choose] of [
  ['that has a TaskManager and not the JobManager', (own: string, ofJobManager: string) => own !== ofJobManager],
  ['that has the JobManager', (own: string, ofJobManager: string) => own === ofJobManager],
] as const) {
  test(
    `a worker ${which} stops while there is no operator, and comes back`,
    story.step(async () => {
      const nodes = ['flinkjob-worker', 'flinkjob-worker2'];
      const ofJobManager = nodesOf(await job.pods('jobmanager'))[0] ?? '';
      const node = nodes.find((each) => choose(each, ofJobManager)) ?? '';
      const there = [...(await job.pods('jobmanager')), ...(await job.pods('taskmanager'))].filter(
        ({ spec }) => spec?.nodeName === node,
      );
      assert.ok(there.length > 0, `nothing of the job is on ${node}`);
      let before: ReturnType<typeof newestToken> = [0, 0];
      const said = await recovery(async () => {
        before = newestToken(job.committed());
        pausedNodes.add(node);
        await pauseNode(node);
      });
      const elsewhere = [...(await job.pods('jobmanager')), ...(await job.pods('taskmanager'))];
      assert.equal(elsewhere.length, 3);
      assert.ok(
        elsewhere.every(({ spec }) => spec?.nodeName !== node),
        `all of it is somewhere else than ${node}`,
      );
      // What was frozen wakes up and finds that others have taken over.
      const ofOldRuns = (): readonly string[] => job.committed().filter((part) => compareTokens(tokenOf(part), before) <= 0);
      const committedBefore = ofOldRuns();
      await unpauseNode(node);
      pausedNodes.delete(node);
      await until(`the old pods on ${node} are gone`, async () => {
        const uids = (await listAll<PodInCluster>(jobNamespace, 'pods', `flinkjob.dev/name=${job.name}`)).map(
          ({ metadata }) => metadata.uid,
        );
        return there.some(({ metadata }) => uids.includes(metadata.uid)) ? undefined : true;
      });
      await job.untilMoreIsCommitted();
      assert.deepEqual(ofOldRuns(), committedBefore, 'an older run commits nothing when it wakes up');
      await job.expectExactOutput();
      return said;
    }),
  );
}

test(
  'the operator that comes back changes nothing',
  story.step(async () => {
    const before = await job.pods('taskmanager');
    await scaleOperator(2);
    await job.untilLookedAfter();
    await job.untilMoreIsCommitted();
    assert.deepEqual(await picture(), whileAway);
    assert.deepEqual(uidsOf(await job.pods('taskmanager')), uidsOf(before));
  }),
);

test(
  'the operator may not read Secrets',
  story.step(async () => {
    const account = `--as=system:serviceaccount:${operatorNamespace}:${operatorDeployment}`;
    for (const verb of ['get', 'list', 'watch']) {
      for (const place of [['--all-namespaces'], ['--namespace', jobNamespace], ['--namespace', operatorNamespace]]) {
        await assert.rejects(
          kubectl('auth', 'can-i', verb, 'secrets', account, ...place),
          /exited with 1:\nno/,
          `${verb} ${place}`,
        );
      }
    }
    // The question is asked rightly: what it may do is answered with yes.
    assert.match(await kubectl('auth', 'can-i', 'list', 'pods', account, '--all-namespaces'), /^yes/);
  }),
);

test(
  'in the end its output is exact',
  story.step(async () => {
    await job.hurry();
    await job.untilStatus('Finished', ({ state }) => state === 'Finished');
    return await job.expectExactOutput('ended');
  }),
);

test(
  'its bucket holds what its lineage names and nothing else; purged, the last entry alone',
  story.step(async () => {
    await job.expectCleanBucket();
    await job.purge();
  }),
);

/** Does harm, waits until the job has recovered, and judges what it has committed. `harm` may give what to look at in the end. */
async function recovery(harm: () => Promise<(() => Promise<void>) | undefined>): Promise<string> {
  const before = newestToken(job.committed());
  const startedAtMs = performance.now();
  const look = await harm();
  const seconds = await job.untilCommittedAgain(startedAtMs, before);
  await look?.();
  await job.expectExactOutput();
  return `commits again after ${seconds.toFixed(1)} s`;
}

async function removeByForce(...pods: readonly PodInCluster[]): Promise<undefined> {
  const names = pods.map(({ metadata }) => metadata.name);
  await kubectl('--namespace', jobNamespace, 'delete', 'pod', ...names, '--grace-period=0', '--force');
}

/** What an operator could change. */
async function picture(): Promise<object> {
  const status = (await job.read())?.status;
  const deployments = await listAll<{ readonly metadata: { readonly uid: string; readonly generation: number } }>(
    jobNamespace,
    'deployments',
    `flinkjob.dev/name=${job.name}`,
  );
  return {
    ...{ attempt: status?.attempt?.number, instance: status?.attempt?.instance, rollouts: status?.rollouts },
    ...{ revision: status?.revision, rollout: status?.rollout },
    deployments: deployments.map(({ metadata }) => `${metadata.uid} ${metadata.generation}`).toSorted(),
  };
}

function nodesOf(pods: readonly PodInCluster[]): readonly string[] {
  return pods.map(({ spec }) => spec?.nodeName ?? '').toSorted();
}

function uidsOf(pods: readonly PodInCluster[]): readonly (string | undefined)[] {
  return pods.map(({ metadata }) => metadata.uid).toSorted();
}

function one(pods: readonly PodInCluster[]): PodInCluster {
  const [pod] = pods;
  assert.ok(pod !== undefined);
  return pod;
}
