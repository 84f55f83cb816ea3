import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobCredentials } from '../../src/credentials/job-credentials.ts';
import {
  type ConfigMap,
  type Deployment,
  type Job,
  type KeySecret,
  kinds,
  type Service,
  type StatefulSet,
} from '../../src/platform/kubernetes/kubernetes-objects.ts';
import { eventually } from '../fakes/eventually.ts';
import { planWith, revisionWith } from '../fakes/flink-job-builders.ts';
import { withKubernetesPlatform } from '../fakes/kubernetes-platform-setting.ts';

// The Kubernetes platform with the real client against an API server in memory; what controllers and kubelets do is pretended. The objects themselves are
// looked at in workloads.test.ts, pod statuses in pod-state.test.ts.

const job = { namespace: 'streams', name: 'words', uid: 'uid-1' };
const revision = revisionWith({ image: 'example/words:1', job: { module: '/app/words.js' } });
const jobManager = (number: number, instance = 1) => ({
  operationId: `job-manager-${number}-${instance}`,
  revision,
  attempt: { number, token: `token-${number}` },
  instance,
  restore: { from: 'Latest' } as const,
});
const taskManagers = (attemptNumber: number, replicas: number) => ({
  operationId: `task-managers-${attemptNumber}`,
  ...{ revision, attemptNumber, replicas },
});
const everything = { operationId: 'end', which: { type: 'All' }, graceMs: 10_000 } as const;
const preFlight = { operationId: 'uid-1/r1/pre-flight/1', revision, restore: { from: 'Latest' } as const };

test('an attempt is a JobManager and TaskManagers, which are reported once their pods run', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.ensureJobManager(job, jobManager(1));
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    const before = await platform.observe(job, undefined);
    assert.deepEqual(before.jobManagers[0]?.process, { state: 'Waiting', problem: undefined });
    assert.deepEqual(
      before.taskManagers.map(({ index, process }) => [index, process.state]),
      [
        [0, 'Waiting'],
        [1, 'Waiting'],
      ],
    );
    cluster.step();
    cluster.step();
    const { jobManagers, taskManagers: workers } = await platform.observe(job, undefined);
    const [pod] = cluster.pods('jobmanager');
    assert.equal(jobManagers[0]?.process.state, 'Alive');
    assert.equal(jobManagers[0]?.podUid, pod?.metadata.uid);
    assert.equal(jobManagers[0]?.restAddress, `${pod?.status?.podIP}:8081`);
    assert.equal(jobManagers[0]?.revision, revision.name);
    assert.deepEqual(
      workers.map(({ taskManagerId }) => taskManagerId).sort(),
      cluster
        .pods('taskmanager')
        .map(({ metadata }) => metadata.name)
        .sort(),
    );
    const [config] = server.list<ConfigMap>(kinds.configMap).filter(({ metadata }) => metadata.name.includes('-tm-'));
    assert.equal(JSON.parse(config?.data['config.json'] ?? '').jobManagerAddress, 'words-rpc-1.streams.svc:6123');
  }));

test('asking again changes nothing, and neither does an operator that would make it otherwise', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.ensureJobManager(job, jobManager(1));
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    const workloads = () => [...server.list(kinds.deployment), ...server.list(kinds.configMap)].map(({ metadata }) => metadata);
    const made = workloads();
    await platform.ensureJobManager(job, jobManager(1));
    const other = revisionWith({ image: 'example/words:1', podTemplate: { labels: { added: 'by a newer operator' } } });
    await platform.ensureTaskManagers(job, { ...taskManagers(1, 2), revision: { ...other, name: revision.name } });
    assert.deepEqual(workloads(), made);
  }));

test('a Deployment that somebody has scaled is put right, and nothing else of it', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    const [made] = server.list<Deployment>(kinds.deployment);
    assert.ok(made);
    const reference = { ...kinds.deployment, namespace: 'streams', name: made.metadata.name };
    server.patch(reference, { spec: { replicas: 0 }, metadata: { labels: { note: 'mine' } } });
    assert.equal((await platform.observe(job, undefined)).taskManagers.length, 0);
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    const healed = server.find<Deployment>(reference);
    assert.equal(healed?.spec.replicas, 2);
    assert.equal(healed?.metadata.labels?.['note'], 'mine');
  }));

test('a replacement in the same attempt takes over the Service, and the one before is ended by itself', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.ensureJobManager(job, jobManager(1, 1));
    await platform.ensureJobManager(job, jobManager(1, 2));
    cluster.step();
    assert.deepEqual((await platform.observe(job, undefined)).jobManagers.map(({ instance }) => instance).sort(), [1, 2]);
    const reference = { ...kinds.service, namespace: 'streams', name: 'words-rpc-1' };
    assert.equal(server.find<Service>(reference)?.spec.selector['flinkjob.dev/instance'], '2');
    await platform.terminate(job, {
      operationId: 'end-instances',
      which: { type: 'InstancesBefore', attemptNumber: 1, instance: 2 },
      graceMs: 0,
    });
    assert.deepEqual(
      (await platform.observe(job, undefined)).jobManagers.map(({ instance }) => instance),
      [2],
    );
    assert.ok(server.find(reference));
  }));

test('ending earlier attempts leaves nothing of them, and the new one alone', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    for (const number of [1, 2]) {
      await platform.ensureJobManager(job, jobManager(number));
      await platform.ensureTaskManagers(job, taskManagers(number, 1));
    }
    cluster.step();
    await platform.terminate(job, { operationId: 'end', which: { type: 'AttemptsBefore', attemptNumber: 2 }, graceMs: 0 });
    const { jobManagers, taskManagers: workers } = await platform.observe(job, undefined);
    assert.deepEqual(
      [...jobManagers, ...workers].map(({ attemptNumber }) => attemptNumber),
      [2, 2],
    );
    const attempts = [kinds.deployment, kinds.configMap, kinds.service]
      .flatMap((kind) => server.list(kind))
      .map(({ metadata }) => metadata.labels?.['flinkjob.dev/attempt'])
      .filter((attempt) => attempt !== undefined);
    assert.deepEqual([...new Set(attempts)], ['2']);
  }));

test('what was made for a Deployment that never was goes when the next attempt begins', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { method: 'PATCH', path: /deployments/ });
    const attempts = () =>
      [kinds.configMap, kinds.service].flatMap((kind) =>
        server.list(kind).flatMap(({ metadata }) => metadata.labels?.['flinkjob.dev/attempt'] ?? []),
      );
    await assert.rejects(platform.ensureJobManager(job, jobManager(1)), /Forbidden/);
    assert.deepEqual(attempts(), ['1', '1']);
    await platform.ensureJobManager(job, jobManager(2));
    assert.deepEqual(attempts(), ['2', '2']);
  }));

test('a Deployment goes in the foreground, so that it makes no pod in place of one that ends', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.ensureJobManager(job, jobManager(1));
    await platform.terminate(job, everything);
    const [deletion] = server.requests.filter(({ method, path }) => method === 'DELETE' && path.includes('/deployments/'));
    assert.ok(deletion);
    assert.deepEqual(server.list(kinds.deployment), []);
    // Nothing is left to end: that is fine too.
    await platform.terminate(job, everything);
  }));

test('one TaskManager that hangs is ended, and its Deployment makes another', () =>
  withKubernetesPlatform(async ({ platform, cluster }) => {
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    cluster.step();
    const [hung] = cluster.pods('taskmanager');
    const taskManagerId = hung?.metadata.name ?? '';
    await platform.terminate(job, { operationId: 'x', which: { type: 'TaskManager', taskManagerId }, graceMs: 0 });
    cluster.step();
    const ids = (await platform.observe(job, undefined)).taskManagers.map((it) => it.taskManagerId);
    assert.equal(ids.length, 2);
    assert.ok(!ids.includes(taskManagerId));
  }));

test('a pre-flight answers in its termination message, once for an operation, and is removed when nobody waits for it', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.runPreFlight(job, preFlight);
    await platform.runPreFlight(job, preFlight);
    assert.equal(server.list(kinds.job).length, 1);
    cluster.step();
    cluster.step();
    assert.equal((await platform.observe(job, preFlight.operationId)).preFlight?.state, 'Running');
    const result = planWith({ slotsRequired: 3 });
    cluster.answer = () => ({ exitCode: 0, message: JSON.stringify(result) });
    cluster.step();
    const { preFlight: fact } = await platform.observe(job, preFlight.operationId);
    assert.ok(fact?.state === 'Completed');
    assert.equal(fact.result.slotsRequired, 3);
    assert.equal((await platform.observe(job, 'another')).preFlight, undefined);
    assert.deepEqual(server.list(kinds.job), []);
    assert.deepEqual(server.list(kinds.configMap), []);
  }));

test('what nobody waits for is removed once, also while the garbage collector is late', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.runPreFlight(job, preFlight);
    cluster.step();
    const [pod] = cluster.pods('preflight');
    assert.ok(pod);
    // Its kubelet, and the garbage collector, take their time.
    server.patch({ ...kinds.pod, ...pod.metadata }, { metadata: { finalizers: ['example/kubelet'], ownerReferences: [] } });
    for (let look = 0; look < 3; look += 1) {
      await platform.observe(job, undefined);
    }
    assert.notEqual(cluster.pods('preflight')[0]?.metadata.deletionTimestamp, undefined);
    const removals = server.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path.split('/').at(-2));
    assert.deepEqual(removals, ['configmaps', 'jobs', 'pods']);
  }));

test('a pre-flight whose image cannot be had has failed, and says so before the running job is touched', () =>
  withKubernetesPlatform(async ({ platform, cluster }) => {
    await platform.runPreFlight(job, preFlight);
    cluster.step();
    const [pod] = cluster.pods('preflight');
    assert.ok(pod);
    const waiting = (reason: string) => cluster.setContainer(pod, { state: { waiting: { reason, message: 'not found' } } });
    waiting('ErrImagePull');
    const first = (await platform.observe(job, preFlight.operationId)).preFlight;
    // Once is no reason to give up.
    assert.ok(first?.state === 'Running' && first.problem?.code === 'ImagePullFailed');
    waiting('ImagePullBackOff');
    const second = (await platform.observe(job, preFlight.operationId)).preFlight;
    assert.ok(second?.state === 'Failed' && second.problem.code === 'ImagePullFailed');
  }));

test('a Job that failed without a word of its pod is a failure too', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.runPreFlight(job, preFlight);
    const [made] = server.list<Job>(kinds.job);
    const conditions = [
      { type: 'Failed', status: 'True', reason: 'DeadlineExceeded', message: 'was active longer than specified' },
    ];
    server.patch({ ...kinds.job, namespace: 'streams', name: made?.metadata.name ?? '' }, { status: { conditions } }, 'status');
    const fact = (await platform.observe(job, preFlight.operationId)).preFlight;
    assert.ok(fact?.state === 'Failed');
    assert.match(fact.problem.message, /was active longer/);
  }));

test('a purge is completed, or says why not', () =>
  withKubernetesPlatform(async ({ platform, cluster }) => {
    const request = { operationId: 'uid-1/purge/1', revision, attemptNumber: 9 };
    const problem = { code: 'StorageUnreachable', message: 'the bucket does not answer', remedy: undefined };
    let ok = false;
    cluster.answer = () => ({ exitCode: ok ? 0 : 1, message: JSON.stringify({ ok, problem: ok ? undefined : problem }) });
    const outcome = async (operationId: string) => {
      await platform.runPurge(job, { ...request, operationId });
      cluster.step();
      cluster.step();
      return (await platform.observe(job, undefined, operationId)).purge;
    };
    const failed = await outcome('uid-1/purge/1');
    assert.ok(failed?.state === 'Failed' && failed.problem.code === 'StorageUnreachable');
    ok = true;
    assert.equal((await outcome('uid-1/purge/2'))?.state, 'Completed');
  }));

test('a revision whose pods would be refused has failed its pre-flight at once, by name, and nothing is made', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    server.refusalOf = ({ metadata }) =>
      metadata.labels?.['flinkjob.dev/component'] === 'taskmanager'
        ? 'pods "words-trial-2" is forbidden: violates PodSecurity "restricted:latest": seccompProfile'
        : undefined;
    await platform.runPreFlight(job, preFlight);
    const fact = (await platform.observe(job, preFlight.operationId)).preFlight;
    assert.ok(fact?.state === 'Failed' && fact.problem.code === 'PodSecurityViolated');
    assert.match(fact.problem.message, /a pod of the TaskManagers would be refused: .*seccompProfile/);
    assert.deepEqual(server.list(kinds.job), []);
    assert.equal((await platform.observe(job, 'uid-1/r1/pre-flight/2')).preFlight, undefined);
    server.refusalOf = () => undefined;
    await platform.runPreFlight(job, preFlight);
    assert.equal((await platform.observe(job, preFlight.operationId)).preFlight?.state, 'Running');
  }));

test('a full quota refuses the pre-flight, which comes beside what runs, and not the pods that come after it', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    const exceeded = 'pods "words" is forbidden: exceeded quota: small, requested: requests.memory=1Gi';
    server.refusalOf = ({ metadata }) => (metadata.labels?.['flinkjob.dev/component'] === 'preflight' ? undefined : exceeded);
    await platform.runPreFlight(job, preFlight);
    assert.equal((await platform.observe(job, preFlight.operationId)).preFlight?.state, 'Running');
    const second = { ...preFlight, operationId: 'uid-1/r1/pre-flight/2' };
    server.refusalOf = () => exceeded;
    await platform.runPreFlight(job, second);
    const fact = (await platform.observe(job, second.operationId)).preFlight;
    assert.ok(fact?.state === 'Failed' && fact.problem.code === 'QuotaExceeded');
  }));

test('what cannot be tried out is simply made', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    server.refusalOf = () => 'User "operator" cannot create resource "pods" in API group "" in the namespace "streams"';
    await platform.runPreFlight(job, preFlight);
    assert.equal(server.list(kinds.job).length, 1);
  }));

test('the answer of a pre-flight says how many TaskManagers the quota has room for, once those that run are gone', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.ensureJobManager(job, jobManager(1));
    await platform.ensureTaskManagers(job, taskManagers(1, 2));
    cluster.step();
    await platform.runPreFlight(job, preFlight);
    cluster.step();
    cluster.answer = ({ metadata }) =>
      metadata.labels?.['flinkjob.dev/component'] === 'preflight'
        ? { exitCode: 0, message: JSON.stringify(planWith()) }
        : undefined;
    cluster.step();
    // Its own JobManager (1Gi) and two TaskManagers (2Gi each), and 1Gi of somebody else.
    const quota = {
      ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { namespace: 'streams', name: 'small' } },
      ...{ spec: {}, status: { hard: { 'requests.memory': '8Gi', pods: '20' }, used: { 'requests.memory': '6Gi', pods: '4' } } },
    };
    server.create(quota);
    server.patch({ ...quota, ...quota.metadata }, { status: quota.status }, 'status');
    const fact = (await platform.observe(job, preFlight.operationId)).preFlight;
    assert.ok(fact?.state === 'Completed');
    assert.equal(fact.room?.taskManagersMax, 3, fact.room?.problem.message);
    assert.match(
      fact.room.problem.message,
      /quota small leaves 7Gi of requests\.memory \(8Gi\) .* JobManager needs 1Gi, each TaskManager 2Gi/,
    );
  }));

const onClaims = revisionWith({
  image: 'example/words:1',
  job: { module: '/app/words.js' },
  localStorage: { size: '50Gi', storageClassName: 'local-ssd', lifetime: 'Attempt' },
});

test('TaskManagers whose disks outlive their pods are a StatefulSet, reported and ended like any others', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    await platform.ensureTaskManagers(job, { ...taskManagers(1, 2), revision: onClaims });
    cluster.step();
    cluster.step();
    const { taskManagers: workers } = await platform.observe(job, undefined);
    assert.deepEqual(
      workers.map(({ index, process }) => [index, process.state]),
      [
        [0, 'Alive'],
        [1, 'Alive'],
      ],
    );
    await platform.ensureTaskManagers(job, { ...taskManagers(1, 3), revision: onClaims });
    assert.deepEqual(
      server.list<StatefulSet>(kinds.statefulSet).map(({ spec }) => spec.replicas),
      [3],
    );
    await platform.terminate(job, everything);
    assert.deepEqual(server.list(kinds.statefulSet), []);
    assert.deepEqual((await platform.observe(job, undefined)).taskManagers, []);
  }));

test('a StatefulSet’s pod on a node that does not answer is forgotten by force, and its successor has the same name and disk', () =>
  withKubernetesPlatform(
    async ({ platform, cluster, server }) => {
      ahead = 0;
      await platform.ensureTaskManagers(job, { ...taskManagers(1, 1), revision: onClaims });
      cluster.step();
      const [pod] = cluster.pods('taskmanager');
      assert.ok(pod);
      const reference = { ...kinds.pod, namespace: 'streams', name: pod.metadata.name };
      // Its kubelet does not answer; the pod is told to go.
      server.patch(reference, { metadata: { finalizers: ['example/kubelet'] } });
      server.remove(reference);
      await platform.observe(job, undefined);
      const forced = () => server.requests.filter(({ method, path }) => method === 'DELETE' && path.includes('/pods/')).length;
      assert.equal(forced(), 0);
      ahead = 60_000;
      await platform.observe(job, undefined);
      assert.equal(forced(), 0, 'its node is well and only slow: the successor would have the same disk');
      const driven = { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' };
      server.patch(reference, { status: { ...pod.status, conditions: [driven] } }, 'status');
      server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { method: 'DELETE', path: /pods/ });
      const { taskManagers: seen } = await platform.observe(job, undefined);
      assert.equal(seen.length, 2, 'who may not force it still sees the one that leaves and the one that is to come');
      const refused = forced();
      await platform.observe(job, undefined);
      assert.equal(forced(), refused + 1);
      ahead = 0;
      server.patch(reference, { metadata: { finalizers: [] } });
      cluster.step();
      const [next] = cluster.pods('taskmanager');
      assert.equal(next?.metadata.name, pod.metadata.name);
      assert.notEqual(next?.metadata.uid, pod.metadata.uid);
      assert.deepEqual(next?.spec?.volumes, pod.spec?.volumes);
    },
    { nowMs: () => Date.now() + ahead },
  ));

test('a volume that keeps its pod from every node is given up together with the pod, and not before its time', () =>
  withKubernetesPlatform(
    async ({ platform, cluster, server }) => {
      ahead = 0;
      await platform.ensureTaskManagers(job, { ...taskManagers(1, 1), revision: onClaims });
      cluster.step();
      const [pod] = cluster.pods('taskmanager');
      assert.ok(pod);
      const claims = () => server.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }).map(({ metadata }) => metadata.uid);
      const before = claims();
      assert.equal(before.length, 1);
      cluster.setUnschedulable(
        pod,
        '0/3 nodes are available: 1 node(s) had untolerated taint, 2 node(s) had volume node affinity conflict.',
      );
      ahead = 60_000;
      await platform.observe(job, undefined);
      assert.deepEqual(claims(), before);
      ahead = 180_000;
      await platform.observe(job, undefined);
      assert.deepEqual(claims(), []);
      assert.deepEqual(cluster.pods('taskmanager'), []);
      ahead = 0;
      cluster.step();
      assert.equal(claims().length, 1);
      assert.notDeepEqual(claims(), before);
    },
    { nowMs: () => Date.now() + ahead },
  ));

const companions = [kinds.serviceAccount, kinds.service, kinds.podDisruptionBudget, kinds.networkPolicy];

test('what is removed by hand beside the pods is made again, and no workload is touched', () =>
  withKubernetesPlatform(
    async ({ platform, cluster, server }) => {
      ahead = 0;
      const ending = new AbortController();
      platform.watch(() => {}, ending.signal);
      await platform.ensureJobManager(job, jobManager(1));
      await platform.ensureTaskManagers(job, taskManagers(1, 1));
      cluster.step();
      await platform.observe(job, undefined);
      const present = () =>
        companions.flatMap((kind) => server.list(kind)).map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      const workloads = () => server.list(kinds.deployment).map(({ metadata }) => metadata.resourceVersion);
      const [before, untouched] = [present(), workloads()];
      assert.equal(before.length, 5);
      for (const object of companions.flatMap((kind) => server.list(kind))) {
        server.remove({ ...object, namespace: 'streams', name: object.metadata.name });
      }
      assert.deepEqual(present(), []);
      // Not within ten seconds after the last look: nobody is raced.
      await platform.observe(job, undefined);
      assert.deepEqual(present(), []);
      await eventually('they are made again', async () => {
        ahead += 10_000;
        await platform.observe(job, undefined);
        return present().length >= before.length;
      });
      assert.deepEqual(present(), before);
      assert.deepEqual(workloads(), untouched);
      ending.abort();
    },
    // It stands while nobody moves it: no machine is so slow that ten seconds pass.
    { nowMs: () => loadedAtMs + ahead },
  ));

test('a removed object that may not be made again keeps nobody from looking at the job, and the others come back', () =>
  withKubernetesPlatform(
    async ({ platform, server }) => {
      ahead = 0;
      await platform.ensureJobManager(job, jobManager(1));
      const budget = { ...kinds.podDisruptionBudget, namespace: 'streams', name: 'words-job' };
      const policy = { ...kinds.networkPolicy, namespace: 'streams', name: 'words-job' };
      server.remove(policy);
      server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { method: 'PATCH', path: /networkpolicies/ });
      assert.equal((await platform.observe(job, undefined)).jobManagers.length, 1);
      assert.equal(server.find(policy), undefined);
      assert.ok(server.find(budget));
      ahead = 20_000;
      await platform.observe(job, undefined);
      assert.ok(server.find(policy), 'it is tried again');
    },
    { nowMs: () => Date.now() + ahead },
  ));

test('an operator that did not start the attempt looks once what is missing, and then asks for it no more', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.ensureJobManager(job, jobManager(1));
    const [budget] = [{ ...kinds.podDisruptionBudget, namespace: 'streams', name: 'words-job' }];
    assert.equal(server.find(budget), undefined);
    await platform.observe(job, undefined);
    assert.ok(server.find(budget));
    const count = () => server.requests.filter(({ path }) => path.endsWith('/poddisruptionbudgets/words-job')).length;
    const asked = count();
    await platform.observe(job, undefined);
    await platform.observe(job, undefined);
    assert.equal(count(), asked);
  }));

test('pods that may not be created say why', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.ensureTaskManagers(job, taskManagers(1, 1));
    const [made] = server.list<Deployment>(kinds.deployment);
    const conditions = [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota: small' }];
    server.patch(
      { ...kinds.deployment, namespace: 'streams', name: made?.metadata.name ?? '' },
      { status: { conditions } },
      'status',
    );
    const [fact] = (await platform.observe(job, undefined)).taskManagers;
    assert.ok(fact?.process.state === 'Waiting' && fact.process.problem?.code === 'PodRefused');
  }));

test('what belongs to a FlinkJob of this name that was deleted is not touched, and the call is repeated until it is gone', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    const successor = { ...job, uid: 'uid-2' };
    await platform.ensureJobManager(job, jobManager(1));
    const made = server.list(kinds.deployment);
    await assert.rejects(platform.ensureJobManager(successor, jobManager(1)), /does not belong to this FlinkJob/);
    assert.deepEqual(server.list(kinds.deployment), made);
    assert.deepEqual((await platform.observe(successor, undefined)).jobManagers, []);
  }));

test('a pod that outlives its deadline by long is on a node that does not answer, and is forgotten by force', () =>
  withKubernetesPlatform(
    async ({ platform, cluster, server }) => {
      await platform.ensureJobManager(job, jobManager(1));
      cluster.step();
      const [pod] = cluster.pods('jobmanager');
      assert.ok(pod);
      // Its kubelet holds it.
      const reference = { ...kinds.pod, namespace: 'streams', name: pod.metadata.name };
      server.patch(reference, { metadata: { finalizers: ['example/kubelet'] } });
      await platform.terminate(job, everything);
      const [left] = (await platform.observe(job, undefined)).jobManagers;
      assert.equal(left?.process.state, 'Alive');
      const count = () => server.requests.filter(({ method, path }) => method === 'DELETE' && path.includes('/pods/')).length;
      assert.equal(count(), 0);
      ahead = 60_000;
      await platform.terminate(job, everything);
      assert.equal(count(), 1);
    },
    { nowMs: () => Date.now() + ahead },
  ));
let ahead = 0;
const loadedAtMs = Date.now();

test('no Secret is ever asked for', () =>
  withKubernetesPlatform(async ({ platform, server }) => {
    await platform.runPreFlight(job, preFlight);
    await platform.ensureJobManager(job, jobManager(1));
    await platform.ensureTaskManagers(job, taskManagers(1, 1));
    await platform.observe(job, preFlight.operationId);
    await platform.terminate(job, everything);
    await platform.remove(job);
    assert.deepEqual(
      server.requests.filter(({ path }) => path.includes('/secrets')),
      [],
    );
  }));

test('every change of a workload is told of with the FlinkJob that it belongs to, and others are not', () =>
  withKubernetesPlatform(async ({ platform, cluster, server }) => {
    const told: string[] = [];
    const ending = new AbortController();
    platform.watch(({ namespace, name }) => told.push(`${namespace}/${name}`), ending.signal);
    const toldMoreThan = (count: number) => eventually('it is told', () => told.length > count);
    await platform.ensureJobManager(job, jobManager(1));
    await toldMoreThan(0);
    const beforePods = told.length;
    cluster.step();
    await toldMoreThan(beforePods);
    const [pod] = cluster.pods('jobmanager');
    assert.ok(pod);
    const beforeEnd = told.length;
    server.create({ ...kinds.pod, metadata: { namespace: 'streams', name: 'somebody-else' } });
    cluster.setContainer(pod, { state: { terminated: { exitCode: 1 } } });
    await toldMoreThan(beforeEnd);
    ending.abort();
    assert.deepEqual([...new Set(told)], ['streams/words']);
  }));

const credentials = (nowMs: () => number) =>
  new JobCredentials({
    roots: () => ({ current: Buffer.from('k'.repeat(44)), next: undefined, previous: undefined }),
    ...{ nowMs, periodMs: 1_000_000 },
  });

test('a new attempt gets keys, which are written when they turn and never read', () => {
  let nowMs = 5_000_000;
  return withKubernetesPlatform(
    async ({ platform, server }) => {
      await platform.ensureJobManager(job, jobManager(1));
      await platform.ensureTaskManagers(job, taskManagers(1, 1));
      for (const { spec } of server.list<Deployment>(kinds.deployment)) {
        assert.ok(spec.template.spec.containers[0].args.join(' ').includes('--credentials /var/lib/flinkjob/keys/keys.json'));
      }
      const keysOf = (): string => {
        const [secret] = server.list<KeySecret>(kinds.secret);
        return JSON.parse(Buffer.from(secret?.data['keys.json'] ?? '', 'base64').toString()).current.id;
      };
      assert.match(keysOf(), /-5$/);
      const writes = () => server.requests.filter(({ path }) => path.includes('/secrets'));
      const before = writes().length;
      await platform.observe(job, undefined);
      assert.equal(writes().length, before);
      nowMs += 1_000_000;
      server.interfere({ type: 'Refuse', status: 403, reason: 'Forbidden' }, { path: /\/secrets/ });
      const { jobManagers } = await platform.observe(job, undefined);
      assert.equal(jobManagers.length, 1, 'what cannot be written now hinders nothing else');
      await platform.observe(job, undefined);
      assert.match(keysOf(), /-6$/);
      assert.deepEqual([...new Set(writes().map(({ method }) => method))], ['PATCH']);
    },
    { credentials: credentials(() => nowMs) },
  );
});

test('an operator that comes back after more than a period first makes the new keys known, and signs with them once that has arrived', () => {
  let nowMs = 5_000_000;
  return withKubernetesPlatform(
    async ({ platform, another, server }) => {
      const keys = (): { readonly current: { readonly id: string }; readonly others: readonly { readonly id: string }[] } => {
        const [secret] = server.list<KeySecret>(kinds.secret);
        return JSON.parse(Buffer.from(secret?.data['keys.json'] ?? '', 'base64').toString());
      };
      await platform.ensureJobManager(job, jobManager(1));
      const old = keys();
      nowMs += 4_000_000;
      const later = another();
      await later.observe(job, undefined);
      const known = keys();
      assert.equal(known.current.id, old.current.id);
      assert.ok(known.others.some(({ id }) => /-9$/.test(id)));
      // A pod that is made now finds the same, whoever makes it.
      await another().ensureJobManager(job, jobManager(1, 2));
      assert.deepEqual(keys(), known);
      nowMs += 200_000;
      await later.observe(job, undefined);
      assert.match(keys().current.id, /-9$/);
      assert.ok(keys().others.some(({ id }) => id === old.current.id));
      const ofSecrets = server.requests.filter(({ path }) => path.includes('/secrets'));
      assert.deepEqual([...new Set(ofSecrets.map(({ method }) => method))], ['PATCH']);
    },
    { credentials: credentials(() => nowMs) },
  );
});

test('an attempt that was begun without keys stays without, also where a newer operator adds to it; the next one has them', () =>
  withKubernetesPlatform(
    async ({ platform, older, server }) => {
      await older.ensureJobManager(job, jobManager(1));
      await platform.ensureTaskManagers(job, taskManagers(1, 2));
      await platform.ensureJobManager(job, jobManager(1, 2));
      const withKeys = () =>
        server
          .list<Deployment>(kinds.deployment)
          .filter(({ spec }) => spec.template.spec.containers[0].args.includes('--credentials'))
          .map(({ metadata }) => metadata.name);
      assert.deepEqual([withKeys(), server.list(kinds.secret)], [[], []]);
      await platform.ensureJobManager(job, jobManager(2));
      await platform.ensureTaskManagers(job, taskManagers(2, 1));
      assert.equal(withKeys().length, 2);
      // One without a root key adds to what has keys, and leaves them as they are.
      await older.ensureJobManager(job, jobManager(2, 2));
      assert.equal(withKeys().length, 3);
      assert.equal(server.list(kinds.secret).length, 1);
    },
    { credentials: credentials(() => 1) },
  ));
