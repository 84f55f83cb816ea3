/**
 * What the operator's service account may do, as a real kube-apiserver answers it: what this file lists, and nothing else. That it is enough is in
 * operator-with-its-rights.test.ts.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { buildHelm } from '../../../hack/helm/build-helm.ts';
import { type ApiServer, startApiServer } from '../../../hack/kind/api-server.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';
import { connectToApi } from '../../src/kubernetes/api-connection.ts';
import { createApiAccess, createObjectClient } from '../../src/kubernetes/api-object-client.ts';
import { openClusterAccess } from '../../src/kubernetes/cluster-access.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import { eventually } from '../fakes/eventually.ts';

type Rights = Readonly<Record<string, readonly string[]>>;

const chart = fileURLToPath(new URL('../../../charts/flinkjob-operator', import.meta.url));
const commandTimeoutMs = 60_000;
const write = ['create', 'update', 'patch', 'delete'];
const read = ['get', 'list', 'watch'];

/** In a namespace whose FlinkJobs it looks after. */
const inJobNamespace: Rights = {
  'flinkjob.dev/flinkjobs': [...read, 'update', 'patch'],
  'flinkjob.dev/flinkjobs/status': ['get', 'update', 'patch'],
  'flinkjob.dev/flinkjobs/finalizers': ['update'],
  'flinkjob.dev/flinksavepoints': [...read, ...write],
  'flinkjob.dev/flinksavepoints/status': ['get', 'update', 'patch'],
  'apps/controllerrevisions': [...read, ...write],
  'apps/deployments': [...read, ...write],
  'apps/statefulsets': [...read, ...write],
  'batch/jobs': [...read, ...write],
  '/configmaps': [...read, ...write],
  '/services': [...read, ...write],
  '/serviceaccounts': [...read, ...write],
  // Made as a trial only, in pre-flight.
  '/pods': [...read, 'create', 'delete'],
  '/resourcequotas': ['list'],
  // Of a StatefulSet's pod whose volume is on a node that is lost.
  '/persistentvolumeclaims': ['get', 'delete'],
  // Written and never read; an admission policy says which ones.
  '/secrets': ['create', 'patch'],
  'policy/poddisruptionbudgets': [...read, ...write],
  'networking.k8s.io/networkpolicies': [...read, ...write],
  '/events': ['create', 'patch'],
  'events.k8s.io/events': ['create', 'patch'],
};

/** What everybody may who has an account: ask what they may, and look at what the API offers. */
const everybodys = new Set([
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
  'authentication.k8s.io/selfsubjectreviews',
]);

interface Installation {
  readonly release: string;
  readonly what: string;
  readonly values: readonly string[];
  readonly home: string;
  /** What it may do in other namespaces than `streams` and its own. */
  readonly elsewhere: Rights;
}

const installations: readonly Installation[] = [
  { release: 'all', what: 'for all namespaces', values: [], home: 'home-of-all', elsewhere: inJobNamespace },
  {
    ...{ release: 'one', what: 'for a list of namespaces', home: 'home-of-one', elsewhere: {} },
    values: ['--set', 'namespaces={streams}', '--set', 'crds.install=false', '--set', 'rbac.aggregateToDefaultRoles=false'],
  },
];

let server: ApiServer;

before(async () => {
  server = await startApiServer();
  const connection = connectToApi(await openClusterAccess({ kubeconfig: server.kubeconfigFile }));
  const client = createObjectClient(createApiAccess({ connection }));
  for (const name of ['streams', 'elsewhere', ...installations.map(({ home }) => home)]) {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
  for (const { release, home, values } of installations) {
    const args = ['template', release, chart, '--namespace', home, '--kube-version', '1.34.0', ...values];
    const { stdout } = await promisify(execFile)(await buildHelm(), args, { timeout: commandTimeoutMs, maxBuffer: 16 << 20 });
    for (const document of parseAllDocuments(stdout)) {
      await client.apply(document.toJS() as KubernetesObject);
    }
  }
  await eventually(
    'the API server knows the rights',
    async () => (await canI('list', 'pods', `--as=${userOf(installations[0] as Installation)}`, '--namespace=streams')) === 'yes',
  );
});

after(async () => {
  await server?.stop();
});

function userOf({ release, home }: Installation): string {
  return `system:serviceaccount:${home}:${release}-flinkjob-operator`;
}

for (const installation of installations) {
  const { what, home, release, elsewhere } = installation;
  const user = userOf(installation);
  const always = { '/namespaces kube-system': ['get'] };

  test(`installed ${what}: in a namespace of FlinkJobs it may do what they need, and nothing else`, async () => {
    assert.deepEqual(await rightsOf(user, 'streams'), sorted({ ...inJobNamespace, ...always }));
  });

  test(`installed ${what}: what it may do in other namespaces`, async () => {
    assert.deepEqual(await rightsOf(user, 'elsewhere'), sorted({ ...elsewhere, ...always }));
  });

  test(`installed ${what}: at home it may besides create leases, and hold its own`, async () => {
    const lease = 'coordination.k8s.io/leases';
    const leases = { [lease]: ['create'], [`${lease} ${release}-flinkjob-operator`]: ['get', 'update', 'patch'] };
    assert.deepEqual(await rightsOf(user, home), sorted({ ...elsewhere, ...always, ...leases }));
  });

  test(`installed ${what}: kubectl auth can-i says no to Secrets, everywhere`, async () => {
    const places = [['--all-namespaces'], ...['streams', 'elsewhere', home].map((namespace) => ['--namespace', namespace])];
    for (const place of places) {
      for (const verb of read) {
        assert.equal(await canI(verb, 'secrets', `--as=${user}`, ...place), 'no', `${verb} ${place.join(' ')}`);
      }
    }
    for (const [resource, subresource] of [
      ['pods', 'exec'],
      ['serviceaccounts', 'token'],
    ] as const) {
      const answer = await canI('create', resource, `--subresource=${subresource}`, `--as=${user}`, '--namespace=streams');
      assert.equal(answer, 'no', `${resource}/${subresource}`);
    }
    // The question is understood.
    assert.equal(await canI('list', 'pods', `--as=${user}`, '--namespace=streams'), 'yes');
  });
}

/** `group/resource`, with ` name` behind where the right is for one object only. Complete: without it the API server says so. */
async function rightsOf(user: string, namespace: string): Promise<Rights> {
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
  const file = join(dirname(server.kubeconfigFile), 'review.json');
  writeFileSync(file, JSON.stringify(review));
  // Whoever asks may not read the definitions that kubectl would hold the question against.
  const { status } = JSON.parse(await kubectl('create', '--validate=false', '-f', file, '-o', 'json', `--as=${user}`)) as {
    readonly status: { readonly incomplete: boolean; readonly resourceRules: readonly ResourceRule[] };
  };
  assert.equal(status.incomplete, false);
  const found: Record<string, string[]> = {};
  for (const { apiGroups, resources, resourceNames = [''], verbs } of status.resourceRules) {
    for (const id of apiGroups.flatMap((group) => resources.map((resource) => `${group}/${resource}`))) {
      for (const name of everybodys.has(id) ? [] : resourceNames) {
        const key = name === '' ? id : `${id} ${name}`;
        found[key] = [...new Set([...(found[key] ?? []), ...verbs])];
      }
    }
  }
  return sorted(found);
}

interface ResourceRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

function sorted(rights: Rights): Rights {
  return Object.fromEntries(
    Object.entries(rights)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, verbs]) => [id, verbs.toSorted()]),
  );
}

async function canI(...args: readonly string[]): Promise<string> {
  // It ends with 1 when the answer is no.
  const said = await kubectl('auth', 'can-i', ...args).catch((error: { readonly stdout: string }) => error.stdout);
  return said.trim();
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
