/**
 * A namespace that is deleted with all that is in it: jobs of each `onDelete`, and a savepoint. Kubernetes takes pods, Secrets and revisions away in any order, and lets nothing
 * be made; the finalizers go nevertheless. What the jobs had in the bucket stays, is named where it should have gone, and jobs of the same names go on from it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyManifest, find, kubectl, kubectlSays, objectsInBucket, operatorNamespace, until } from '../cluster-under-test.ts';
import { JobInCluster, prepareNamespace } from '../job-in-cluster.ts';
import { Story } from '../story.ts';

const namespace = 'short-lived';
/** From `kubectl delete namespace`. Of these Kubernetes itself waits up to 30 for the pods, their grace period. */
const goneWithinSeconds = 120;
const jobs = (['Retain', 'Savepoint', 'Purge'] as const).map((onDelete) => ({
  onDelete,
  job: new JobInCluster(`on-delete-${onDelete.toLowerCase()}`, {
    ...{ namespace, recordCount: 200_000, recordsPerSecond: 300, parallelism: 1 },
  }),
}));
const story = new Story(...jobs.map(({ job }) => job));
const savepoint = 'before-the-end';

const spec = (onDelete: string) => ({ checkpoints: { intervalSeconds: 1, onDelete } });

test(
  'jobs run in a namespace, one with a savepoint',
  story.step(async () => {
    await Promise.all(
      jobs.map(async ({ job, onDelete }) => {
        await job.apply(spec(onDelete));
        await job.untilRunning();
        await job.untilMoreIsCommitted();
      }),
    );
    await applyManifest({
      ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkSavepoint', metadata: { namespace, name: savepoint } },
      spec: { flinkJobName: jobs[0]?.job.name },
    });
    await kubectl(
      '--namespace',
      namespace,
      'wait',
      `flinksavepoint/${savepoint}`,
      '--for=jsonpath={.status.state}=Completed',
      '--timeout=120s',
    );
  }),
);

test(
  `the namespace is gone within ${goneWithinSeconds} s, and the data that should have gone with it is named`,
  story.step(async () => {
    const sinceTime = new Date().toISOString();
    const startedAtMs = performance.now();
    await kubectl('delete', 'namespace', namespace, '--wait=false');
    await until(
      `namespace ${namespace} is gone`,
      async () => ((await find('', 'namespace', namespace)) === undefined ? true : undefined),
      () => kubectlSays('get', 'namespace', namespace, '--output=yaml'),
    );
    const seconds = (performance.now() - startedAtMs) / 1_000;
    assert.ok(seconds <= goneWithinSeconds, `it took ${seconds.toFixed(1)} s`);
    const said = await operatorSays(sinceTime);
    const orphaned = said.filter(({ reason }) => reason === 'DataOrphaned').map(({ flinkJob, note }) => `${flinkJob}: ${note}`);
    const purged = `${namespace}/on-delete-purge`;
    assert.ok(
      orphaned.some((line) => line.startsWith(`${purged}: s3://checkpoints/jobs/${purged} stays`)),
      `the log names the path that stays:\n${said.map((entry) => JSON.stringify(entry)).join('\n')}`,
    );
    assert.ok(
      orphaned.every((line) => line.includes(purged)),
      orphaned.join('\n'),
    );
    return `gone after ${seconds.toFixed(1)} s; ${said.map(({ flinkJob, reason }) => `${flinkJob} ${reason}`).join(', ')}`;
  }),
);

test(
  'what they had in the bucket and what they have committed is still there',
  story.step(async () => {
    const objects = await objectsInBucket();
    for (const { job } of jobs) {
      assert.ok(
        objects.some((name) => name.startsWith(`jobs/${namespace}/${job.name}/lineage/`)),
        job.name,
      );
      await job.expectExactOutput();
    }
  }),
);

test(
  'jobs of the same names go on from there, and in the end output and bucket are exact',
  story.step(async () => {
    // Its claim is another one, although it has the same name.
    await kubectl('delete', 'persistentvolume', `flinkjob-test-output-${namespace}`);
    await prepareNamespace(namespace);
    const said = await Promise.all(
      jobs.map(async ({ job, onDelete }) => {
        job.hasten();
        await job.apply(spec(onDelete));
        const { restored } = await job.untilStatus('says what it started from', (status) => status.restored !== undefined);
        assert.match(restored ?? '', /^continued from/);
        await job.finishExactly();
        return `${onDelete}: ${restored}`;
      }),
    );
    return said.join('; ');
  }),
);

interface Said {
  readonly flinkJob: string;
  readonly reason: string;
  readonly note: string;
}

/** What the log of the operator has about deletions in which not everything was done: in a namespace that goes there may be no event. */
async function operatorSays(sinceTime: string): Promise<readonly Said[]> {
  const selector = '--selector=app.kubernetes.io/name=flinkjob-operator';
  const log = await kubectl('--namespace', operatorNamespace, 'logs', selector, '--tail=-1', `--since-time=${sinceTime}`);
  return log
    .split('\n')
    .filter((line) => line.includes('"reason"') && line.includes(namespace))
    .map((line) => JSON.parse(line) as Said)
    .filter(({ note }) => note !== undefined);
}
