/**
 * Our CRDs on a real kube-apiserver: that it takes them, and serves what they promise. And the API server of these tests itself: dying, coming back,
 * forgetting. What the schema accepts and refuses field by field is in src/api.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';
import { eventually } from '../fakes/eventually.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const crdFiles = globSync(join(root, 'crds', '*.yaml'));
const commandTimeoutMs = 60_000;
const words = {
  apiVersion: 'flinkjob.dev/v1alpha1',
  kind: 'FlinkJob',
  metadata: { name: 'words', labels: { app: 'words' } },
  spec: {
    image: 'example/words:1',
    job: { module: '/app/words.js', parallelism: 2 },
    state: { checkpointStorage: 's3://bucket/jobs' },
  },
};
let server: ApiServer;

before(async () => {
  server = await startApiServer();
});

after(async () => {
  await server?.stop();
});

test('every CRD is applied by plain kubectl apply, is established and structural, and far below the limits of size', async () => {
  assert.ok(crdFiles.length > 0);
  const files = crdFiles.flatMap((file) => ['-f', file]);
  // From the client's side, which writes the whole definition once more into an annotation of at most 256 KiB.
  await kubectl('apply', ...files);
  const names = crdFiles.map((file) => `crd/${parse(readFileSync(file, 'utf8')).metadata.name}`);
  await kubectl('wait', '--for=condition=Established', '--timeout=30s', ...names);
  // The API server keeps them as they are written: applying them again changes nothing.
  assert.match(await kubectl('apply', ...files), /^(customresourcedefinition\S+ unchanged\n)+$/);

  await eventually('kubectl finds them by their short name', async () =>
    (await kubectl('api-resources', '--cached=false')).includes(' fj '),
  );
  await eventually('what they explain is published', () =>
    kubectl('explain', 'fj').then(
      () => true,
      // Some moments after they are established.
      () => false,
    ),
  );

  const { items } = JSON.parse(await kubectl('get', 'crds', '-o', 'json'));
  const listed = items.map((item: { metadata: { name: string } }) => `crd/${item.metadata.name}`);
  assert.deepEqual(listed.toSorted(), names.toSorted());
  for (const { metadata, status, spec } of items) {
    const conditions = Object.fromEntries(
      status.conditions.map((one: { type: string; status: string }) => [one.type, one.status]),
    );
    // One that is not structural has a third condition.
    assert.deepEqual(conditions, { NamesAccepted: 'True', Established: 'True' }, metadata.name);
    assert.ok(metadata.annotations['kubectl.kubernetes.io/last-applied-configuration'].length < 200_000, metadata.name);
    assert.ok(JSON.stringify(spec).length < 200_000, metadata.name);
  }
  assert.ok(crdFiles.every((file) => readFileSync(file).length < 200_000));
});

const explained: readonly (readonly [string, RegExp])[] = [
  ['fj', /A stateful streaming job: what runs, how it is upgraded, and where its state\s+is kept safe\./],
  ['fj.spec.job.parallelism', /parallelism <integer>[\s\S]*How many subtasks each operator has/],
  ['fj.spec.job.desiredState', /ENUM:\s+Running\s+Suspended[\s\S]*Suspended stops the job with a savepoint/],
  ['fj.spec.upgrade.mode', /ENUM:\s+Savepoint\s+LastState\s+Stateless/],
  ['fj.spec.checkpoints', /intervalSeconds\s+<number>\s+From the start of one checkpoint to the start of the next/],
  ['fj.spec.state.checkpointStorage', /URL of the folder that holds the lineages of jobs: s3:\/\/bucket\/prefix/],
  ['fj.spec.taskManager.resources.limits.memory', /All memory of one TaskManager/],
  ['fj.status.conditions', /lastTransitionTime\s+<string> -required-\s+When status last changed/],
  ['fj.status.lastCheckpoint.completedTime', /When it became durable/],
];

for (const [path, text] of explained) {
  test(`kubectl explain ${path} says what it is`, async () => {
    assert.match(await kubectl('explain', path), text);
  });
}

test('no field is without an explanation', async () => {
  const text = await kubectl('explain', 'fj', '--recursive');
  for (const field of ['spec', 'status', 'podTemplate', 'restartStrategy', 'rollout']) {
    assert.match(text, new RegExp(`^ +${field}\t<`, 'm'));
  }
  const { components } = JSON.parse(await kubectl('get', '--raw', '/openapi/v3/apis/flinkjob.dev/v1alpha1'));
  const [schema] = Object.entries(components.schemas).filter(([key]) => key.endsWith('.FlinkJob'));
  assert.deepEqual(unexplained(schema?.[1] as Schema, 'fj'), []);
});

test('kubectl get shows what matters in a line, and more of it with -o wide', async () => {
  await kubectl('apply', '-f', written('words.json', words));
  assert.deepEqual(await columnsOf('get', 'fj'), {
    ...{ NAME: 'words', STATE: '', PARALLELISM: '', CHECKPOINT: '', RESTARTS: '', REVISION: '' },
    AGE: 'seconds',
  });
  const status = {
    selector: 'flinkjob.dev/uid=u,flinkjob.dev/component=taskmanager',
    ...{ state: 'Running', parallelism: 2, restarts: 4, revision: 'c7b72fe', rollouts: 2 },
    lastCheckpointTime: new Date(Date.now() - 10 * 60_000 - 30_000).toISOString(),
    conditions: [],
    rollout: {
      ...{ id: 2, reason: 'Upgrade', state: 'Blocked', generation: 1, try: 1, restoreFrom: 'Latest' },
      ...{ startedTime: '2026-01-01T00:00:00Z', stateTime: '2026-01-01T00:00:00Z' },
    },
    error: { code: 'ImagePullFailed', message: 'there is no such image' },
  };
  await kubectl('patch', 'fj', 'words', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status }));
  const narrow = { NAME: 'words', STATE: 'Running', PARALLELISM: '2', CHECKPOINT: '10m', RESTARTS: '4', REVISION: 'c7b72fe' };
  assert.deepEqual(await columnsOf('get', 'fj', 'words'), { ...narrow, AGE: 'seconds' });
  assert.deepEqual(await columnsOf('get', 'fj', 'words', '-o', 'wide'), {
    ...{ ...narrow, AGE: 'seconds' },
    ...{ ROLLOUT: 'Blocked', PROBLEM: 'ImagePullFailed', IMAGE: 'example/words:1' },
  });
  assert.equal(await kubectl('get', 'all', '-o', 'name', '-l', 'app=words'), 'flinkjob.flinkjob.dev/words\n');
});

test('kubectl scale sets the parallelism, within the bounds of the schema', async () => {
  assert.equal(await kubectl('scale', 'fj', 'words', '--replicas=3'), 'flinkjob.flinkjob.dev/words scaled\n');
  assert.equal(await kubectl('get', 'fj', 'words', '-o', 'jsonpath={.spec.job.parallelism}'), '3');
  const { spec, status } = JSON.parse(
    await kubectl('get', '--raw', '/apis/flinkjob.dev/v1alpha1/namespaces/default/flinkjobs/words/scale'),
  );
  const selector = 'flinkjob.dev/uid=u,flinkjob.dev/component=taskmanager';
  assert.deepEqual([spec.replicas, status], [3, { replicas: 2, selector }]);
  await assert.rejects(
    kubectl('scale', 'fj', 'words', '--replicas=200'),
    /spec\.job\.parallelism must be at most spec\.job\.maxParallelism/,
  );
  await assert.rejects(kubectl('scale', 'fj', 'words', '--replicas=0'), /spec\.job\.parallelism/);
  await assert.rejects(
    kubectl('scale', 'fj', 'words', '--replicas=4', '--current-replicas=9'),
    /[Ee]xpected replicas to be 9, was 3/,
  );
});

test('kubectl wait understands the conditions', async () => {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'Running',
    message: 'It runs.',
    lastTransitionTime,
    observedGeneration: 2,
  };
  const patch = JSON.stringify({ status: { conditions: [ready] } });
  await kubectl('patch', 'fj', 'words', '--subresource=status', '--type=merge', '-p', patch);
  await kubectl('wait', 'fj', 'words', '--for=condition=Ready', '--timeout=10s');
});

test('a FlinkJob that breaks the schema is refused with the name of the field', async () => {
  const job = {
    apiVersion: 'flinkjob.dev/v1alpha1',
    kind: 'FlinkJob',
    metadata: { name: 'broken' },
    spec: { parallelism: 'four' },
  };
  await assert.rejects(kubectl('create', '-f', written('broken.json', job)), /spec\.parallelism/);
});

test('what was acknowledged outlives the death of the API server', async () => {
  await kubectl('create', 'configmap', 'kept', '--from-literal=a=b');
  await server.kill();
  await assert.rejects(kubectl('get', 'configmap', 'kept'), /refused|connect/);
  await server.restart();
  assert.equal(await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.data.a}'), 'b');
});

test('after a compaction and a restart, a watch from an earlier revision is answered with 410', async () => {
  const before = await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.metadata.resourceVersion}');
  await kubectl('create', 'configmap', 'later');
  await server.compact();
  await server.restart();
  const watch = `/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=5&resourceVersion=${before}`;
  const said = await kubectl('get', '--raw', watch).catch((error: Error & { stderr: string }) => error.stderr);
  assert.match(said, /"code":410|too old resource version/);
});

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
}

/** Paths of the fields that explain nothing. */
function unexplained(schema: Schema, path: string): readonly string[] {
  const below = [schema.items, schema.additionalProperties].filter(
    (it) => it !== undefined && typeof it === 'object',
  ) as Schema[];
  return [
    ...below.flatMap((child) => unexplained(child, `${path}[]`)),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => [
      ...(child.description === undefined && child.$ref === undefined && child.allOf === undefined ? [`${path}.${name}`] : []),
      ...unexplained(child, `${path}.${name}`),
    ]),
  ];
}

/** Of the only line: each column by its heading. Seconds are not told apart. */
async function columnsOf(...args: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const [head = '', line = '', ...more] = (await kubectl(...args)).trimEnd().split('\n');
  assert.deepEqual(more, []);
  const starts = [...head.matchAll(/\S+/g)];
  return Object.fromEntries(
    starts.map(({ 0: name, index }, position) => {
      const value = line.slice(index, starts[position + 1]?.index).trim();
      return [name, name === 'AGE' && /^\d+s$/.test(value) ? 'seconds' : value];
    }),
  );
}

/** A file that goes with the server. */
function written(name: string, object: object): string {
  const file = join(dirname(server.kubeconfigFile), name);
  writeFileSync(file, JSON.stringify(object));
  return file;
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const env = {
    ...process.env,
    KUBECONFIG: server.kubeconfigFile,
    KUBECACHEDIR: join(dirname(server.kubeconfigFile), 'kubectl-cache'),
  };
  const { stdout } = await promisify(execFile)(join(binDirectory, 'kubectl'), args, { env, timeout: commandTimeoutMs });
  return stdout;
}
