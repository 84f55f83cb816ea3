// Jobs of Kubernetes that somebody removed, and that were made again under the same name, while pods of the first are still there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Job, kinds } from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { planWith, revisionWith } from '../fakes/flink-job-builders.ts';
import { withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';

const job = { namespace: 'streams', name: 'words', uid: 'uid-1' };
const preFlight = {
  operationId: 'uid-1/r1/pre-flight/1',
  revision: revisionWith({ image: 'example/words:1' }),
  restore: { from: 'Latest' },
} as const;

test('the answer of a pre-flight is that of the Job that is there, not what a pod of a removed one had said', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.runPreFlight(job, preFlight);
    const [first] = server.list<Job>(kinds.job);
    assert.ok(first !== undefined);
    const message = JSON.stringify(planWith({ jobGraphHash: 'of the removed Job' }));
    server.create({
      ...kinds.pod,
      metadata: {
        ...{ namespace: 'streams', name: 'a-pod-of-the-removed-job' },
        labels: { ...first.metadata.labels, 'batch.kubernetes.io/job-name': first.metadata.name },
        ownerReferences: [{ apiVersion: first.apiVersion, kind: first.kind, name: first.metadata.name, uid: 'removed' }],
      },
      status: {
        phase: 'Succeeded',
        containerStatuses: [{ name: 'flinkjob', state: { terminated: { exitCode: 0, message } } }],
      },
    });
    const looked = await platform.observe(job, preFlight.operationId);
    assert.equal(looked.preFlight?.state, 'Running');
    cluster.answer = () => ({ exitCode: 0, message: JSON.stringify(planWith({ jobGraphHash: 'of the Job that is there' })) });
    cluster.step();
    cluster.step();
    const { preFlight: answered } = await platform.observe(job, preFlight.operationId);
    assert.ok(answered?.state === 'Completed');
    assert.equal(answered.result.jobGraphHash, 'of the Job that is there');
  }));
