/**
 * `helm upgrade` under a job that runs: from an older release, whose operator made the job's pods and whose runtime runs in them, to this one; then to other values. No pod of
 * the job starts again. The newer operator drives the older runtime, takes a savepoint of it, and brings the newer one.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { loadImages } from '../../../hack/kind/cluster.ts';
import { buildOlderRelease, type OlderRelease } from '../../../hack/kind/older-release.ts';
import { installOperator, uninstallOperator } from '../../../hack/kind/operator-release.ts';
import type { FlinkSavepointStatus } from '../../src/api/flink-savepoint-status.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { applyManifest, find, kubectl, listAll, operatorNamespace, type PodInCluster, until } from './cluster-under-test.ts';
import { JobInCluster } from './job-in-cluster.ts';
import { Story } from './story.ts';

const job = new JobInCluster('upgraded', { recordCount: 200_000, recordsPerSecond: 200 });
const story = new Story(job);
const savepointName = 'of-the-older-runtime';
let older: OlderRelease;

let hasNewerOperator = false;
after(async () => {
  // The next file needs the operator of this checkout. An upgrade that was cut short leaves a release that can only be removed.
  if (!hasNewerOperator) {
    await uninstallOperator();
  }
  await installOperator();
});

test(
  'a job runs under an older release, operator and runtime',
  story.step(async () => {
    older = await buildOlderRelease();
    await loadImages([older.operatorImage, older.exampleImage]);
    await uninstallOperator();
    await installOperator({ chart: older.chart, values: [`image.tag=${older.tag}`] });
    await job.apply({ image: older.exampleImage });
    await job.untilRunning();
    await job.untilMoreIsCommitted();
    assert.deepEqual(await imagesOf(await job.pods('taskmanager')), [older.exampleImage, older.exampleImage]);
    assert.deepEqual(await operatorImages(), [older.operatorImage, older.operatorImage]);
  }),
);

test(
  'helm upgrade to this release restarts no pod of it, and the newer operator looks after it',
  story.step(async () => {
    await unnoticed(async () => {
      await installOperator();
      hasNewerOperator = true;
      await until('the older operator has gone', async () =>
        (await operatorImages()).includes(older.operatorImage) ? undefined : true,
      );
    });
    assert.deepEqual(await imagesOf(await job.pods('jobmanager')), [older.exampleImage]);
  }),
);

test(
  'helm upgrade to other values restarts none either',
  story.step(async () => {
    await unnoticed(() =>
      installOperator({ values: ['logLevel=debug', 'resources.requests.cpu=60m', 'credentials.keyPeriodSeconds=7200'] }),
    );
  }),
);

test(
  'the newer operator takes a savepoint of the older runtime',
  story.step(async () => {
    const before = await job.whatRuns();
    await applyManifest({
      ...{ apiVersion: 'flinkjob.dev/v1alpha1', kind: 'FlinkSavepoint' },
      metadata: { name: savepointName, namespace: job.namespace },
      spec: { flinkJobName: job.name },
    });
    const { path } = await until(
      'the savepoint is complete',
      async () => {
        const savepoint = await find<KubernetesObject & { readonly status?: FlinkSavepointStatus }>(
          job.namespace,
          'flinksavepoint',
          savepointName,
        );
        return savepoint?.status?.state === 'Completed' ? savepoint.status : undefined;
      },
      () => job.describe(),
    );
    assert.match(path ?? '', /savepoints/);
    assert.deepEqual(await job.whatRuns(), before);
    return path;
  }),
);

test(
  'the newer operator brings the newer runtime, which goes on from a savepoint of the older one',
  story.step(async () => {
    const { attempt } = await job.untilRunning();
    const ran = await job.change(() => job.patch({ image: 'keyed-count:1' }));
    const { restored } = await job.untilRunning((attempt?.number ?? 0) + 1);
    assert.match(restored ?? '', /savepoint/i);
    assert.deepEqual(await imagesOf(await job.pods('taskmanager')), ['keyed-count:1', 'keyed-count:1']);
    await job.untilMoreIsCommitted();
    await job.expectExactOutput();
    return ran;
  }),
);

test(
  'in the end its output is exact, and its bucket clean',
  story.step(async () => {
    await kubectl('--namespace', job.namespace, 'delete', 'flinksavepoint', savepointName, '--timeout=120s');
    await job.hurry();
    return await job.finishExactly();
  }),
);

/** An upgrade of the release, after which the operator looks at the job, and nothing of it has changed. */
async function unnoticed(upgrade: () => Promise<void>): Promise<void> {
  const before = await standing();
  await upgrade();
  await job.untilLookedAfter();
  await job.untilMoreIsCommitted();
  assert.deepEqual(await standing(), before);
  await job.expectExactOutput();
}

/** But for what the older operator does not know of: that the revision is stable. */
async function standing(): Promise<object> {
  return { ...(await job.whatRuns()), stable: undefined };
}

async function operatorImages(): Promise<readonly string[]> {
  return await imagesOf(await listAll<PodInCluster>(operatorNamespace, 'pods', 'app.kubernetes.io/name=flinkjob-operator'));
}

async function imagesOf(pods: readonly PodInCluster[]): Promise<readonly string[]> {
  return pods.map(({ spec }) => spec?.containers?.[0]?.image ?? '');
}
