// The chart, rendered by the real Helm: what each choice of values makes of it, what the schema refuses and in which words. Whether a cluster takes
// it is tried in kind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { builtHelm } from './build-helm.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** As much of a manifest as is looked at here. */
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly rules?: readonly Rule[];
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: object;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe: { readonly httpGet: { readonly path: string } };
  readonly readinessProbe: { readonly httpGet: { readonly path: string } };
}

interface DeploymentSpec {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
  readonly template: {
    readonly metadata: { readonly labels: Readonly<Record<string, string>> };
    readonly spec: {
      readonly serviceAccountName: string;
      readonly securityContext: object;
      readonly containers: readonly [Container];
    };
  };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const chart = `${root}charts/flinkjob-operator`;
const helm = builtHelm();
const skip = helm === undefined && 'Helm is not built (node hack/helm/build-helm.ts; it needs Go)';
const timeoutMs = 60_000;

/** Rejects with what Helm printed. */
async function runHelm(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(helm ?? 'helm', [...args], { timeout: timeoutMs, maxBuffer: 16 << 20 });
  return stdout;
}

/** `kube-version`: without a cluster Helm takes an old one for granted. */
async function template(...settings: readonly string[]): Promise<readonly Manifest[]> {
  const sets = settings.flatMap((setting) => ['--set', setting]);
  const rendered = await runHelm('template', 'fj', chart, '--namespace', 'streaming', '--kube-version', '1.34.0', ...sets);
  return parseAllDocuments(rendered).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });
}

function only(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  assert.equal(found.length, 1, `one ${kind} among ${manifests.map((manifest) => manifest.kind).join(', ')}`);
  return found[0] as Manifest;
}

function deployment(manifests: readonly Manifest[]): DeploymentSpec {
  return only(manifests, 'Deployment').spec as unknown as DeploymentSpec;
}

function names(manifests: readonly Manifest[], kind: string): readonly string[] {
  return manifests
    .filter((manifest) => manifest.kind === kind)
    .map(({ metadata }) => (metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`))
    .toSorted();
}

/** Those of the operator itself; what people get by aggregation is none of its rights. */
function operatorRules(manifests: readonly Manifest[]): readonly Rule[] {
  return manifests
    .filter(({ metadata }) => !Object.keys(metadata.labels ?? {}).some((label) => label.startsWith('rbac.authorization.k8s.io/')))
    .flatMap(({ rules }) => rules ?? []);
}

const choices: readonly (readonly string[])[] = [[], ['namespaces={team-a,team-b}'], ['replicas=1'], ['clusterId=eu-1']];

test('helm lint finds nothing to complain about', { skip }, async () => {
  assert.match(await runHelm('lint', '--strict', chart), /1 chart\(s\) linted, 0 chart\(s\) failed/);
});

test('by default: two replicas, one lease, all namespaces', { skip }, async () => {
  const manifests = await template();
  const { replicas, selector, template: pod } = deployment(manifests);
  const [container] = pod.spec.containers;
  assert.equal(replicas, 2);
  assert.deepEqual(container.args, [
    '--platform=kubernetes',
    '--lease-namespace=streaming',
    '--lease-name=fj-flinkjob-operator',
    '--http-address=0.0.0.0:8080',
    '--root-key-dir=/etc/flinkjob-root-key',
    '--key-period-seconds=86400',
    '--log-level=info',
  ]);
  assert.equal(container.image, 'flinkjob/operator:0.1.0');
  assert.equal(pod.spec.serviceAccountName, only(manifests, 'ServiceAccount').metadata.name);
  assert.deepEqual({ ...pod.metadata.labels, ...selector.matchLabels }, pod.metadata.labels, 'the selector fits the pods');
  assert.deepEqual(only(manifests, 'PodDisruptionBudget').spec, { maxUnavailable: 1, selector });
  assert.deepEqual(names(manifests, 'Role'), ['streaming/fj-flinkjob-operator-leader-election']);
  assert.ok(names(manifests, 'ClusterRoleBinding').includes('fj-flinkjob-operator'));
});

test('the operator fits the restricted Pod Security Standard, on a read-only root file system', { skip }, async () => {
  const { template: pod } = deployment(await template());
  const [container] = pod.spec.containers;
  assert.deepEqual(pod.spec.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});

test('probes and metrics share the one port', { skip }, async () => {
  const manifests = await template();
  const [container] = deployment(manifests).template.spec.containers;
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: 8080 }]);
  assert.equal(container.livenessProbe.httpGet.path, '/livez');
  assert.equal(container.readinessProbe.httpGet.path, '/readyz');
  assert.deepEqual(only(manifests, 'Service').spec?.['ports'], [{ name: 'http', port: 8080, targetPort: 'http' }]);
});

for (const choice of choices) {
  test(`no rule lets the operator read Secrets, names a wildcard, or lets it give rights away (${choice.join() || 'defaults'})`, {
    skip,
  }, async () => {
    const rules = operatorRules(await template(...choice));
    assert.ok(rules.length > 5, 'there are rules to look at');
    const named = rules.flatMap(({ apiGroups, resources, verbs }) => [...apiGroups, ...resources, ...verbs]);
    for (const forbidden of ['*', 'escalate', 'bind', 'impersonate', 'pods/exec', 'pods/log', 'serviceaccounts/token', 'nodes']) {
      assert.ok(!named.includes(forbidden), `a rule names ${forbidden}`);
    }
    const ofSecrets = rules.filter(({ resources }) => resources.includes('secrets'));
    const expected = { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'patch'] };
    assert.deepEqual([...new Set(ofSecrets.map((rule) => JSON.stringify(rule)))], [JSON.stringify(expected)]);
  });
}

test('what the operator may do is exactly this', { skip }, async () => {
  const granted = operatorRules(await template()).flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.map(
        (resource) => `${group}/${resource}${resourceNames === undefined ? '' : `[${resourceNames}]`}: ${verbs.join(' ')}`,
      ),
    ),
  );
  const all = 'get list watch create update patch delete';
  assert.deepEqual(granted.toSorted(), [
    `/configmaps: ${all}`,
    '/events: create patch',
    '/namespaces[kube-system]: get',
    '/persistentvolumeclaims: get delete',
    '/pods: get list watch create delete',
    '/resourcequotas: list',
    '/secrets: create patch',
    `/serviceaccounts: ${all}`,
    `/services: ${all}`,
    `apps/controllerrevisions: ${all}`,
    `apps/deployments: ${all}`,
    `apps/statefulsets: ${all}`,
    `batch/jobs: ${all}`,
    'coordination.k8s.io/leases: create',
    'coordination.k8s.io/leases[fj-flinkjob-operator]: get update patch',
    'events.k8s.io/events: create patch',
    'flinkjob.dev/flinkjobs/finalizers: update',
    'flinkjob.dev/flinkjobs/status: get update patch',
    'flinkjob.dev/flinkjobs: get list watch update patch',
    'flinkjob.dev/flinksavepoints/status: get update patch',
    `flinkjob.dev/flinksavepoints: ${all}`,
    `networking.k8s.io/networkpolicies: ${all}`,
    `policy/poddisruptionbudgets: ${all}`,
  ]);
});

test('with a list of namespaces: a Role in each, and nothing in the others', { skip }, async () => {
  const manifests = await template('namespaces={team-a,team-b}', 'clusterId=eu-1', 'rbac.aggregateToDefaultRoles=false');
  assert.deepEqual(names(manifests, 'ClusterRole'), []);
  assert.deepEqual(names(manifests, 'ClusterRoleBinding'), []);
  const expected = [
    'streaming/fj-flinkjob-operator-leader-election',
    'team-a/fj-flinkjob-operator',
    'team-b/fj-flinkjob-operator',
  ];
  assert.deepEqual(names(manifests, 'Role'), expected);
  assert.deepEqual(names(manifests, 'RoleBinding'), expected);
  const { args } = deployment(manifests).template.spec.containers[0];
  assert.ok(args.includes('--namespaces=team-a,team-b'));
  assert.ok(args.includes('--cluster-id=eu-1'));
});

test('the Roles of a list hold the rules that the ClusterRole would', { skip }, async () => {
  const rulesOf = (manifests: readonly Manifest[], kind: string): unknown =>
    manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === 'fj-flinkjob-operator')?.rules;
  const everywhere = rulesOf(await template(), 'ClusterRole');
  assert.ok(everywhere !== undefined);
  assert.deepEqual(rulesOf(await template('namespaces={team-a}'), 'Role'), everywhere);
});

test('the release makes a root key, keeps it, and gives it to the operator as a folder; or takes one that is there', {
  skip,
}, async () => {
  const secretOf = (manifests: readonly Manifest[]) =>
    only(manifests, 'Secret') as Manifest & { readonly data: { readonly current: string } };
  const manifests = await template();
  const { metadata, data } = secretOf(manifests);
  assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  const root = Buffer.from(data.current, 'base64').toString();
  assert.equal(Buffer.from(root, 'base64').length, 32, 'random bytes in Base64, in Base64 once more for the Secret');
  assert.notEqual(secretOf(await template()).data.current, data.current);
  const volumesOf = (rendered: readonly Manifest[]) =>
    (deployment(rendered).template.spec as unknown as { readonly volumes: object }).volumes;
  assert.deepEqual(volumesOf(manifests), [{ name: 'root-key', secret: { secretName: metadata.name } }]);
  const existing = await template('credentials.existingSecret=ours', 'credentials.keyPeriodSeconds=3600');
  assert.deepEqual(names(existing, 'Secret'), []);
  assert.deepEqual(volumesOf(existing), [{ name: 'root-key', secret: { secretName: 'ours' } }]);
  assert.ok(deployment(existing).template.spec.containers[0].args.includes('--key-period-seconds=3600'));
});

test('a policy confines the operator to Secrets with keys of jobs, where Kubernetes has such policies', { skip }, async () => {
  const manifests = await template();
  const policy = only(manifests, 'ValidatingAdmissionPolicy');
  assert.match(JSON.stringify(policy.spec), /system:serviceaccount:streaming:fj-flinkjob-operator/);
  assert.deepEqual(only(manifests, 'ValidatingAdmissionPolicyBinding').spec, {
    policyName: policy.metadata.name,
    validationActions: ['Deny'],
  });
  assert.deepEqual(names(await template('credentials.admissionPolicy=false'), 'ValidatingAdmissionPolicy'), []);
});

test('the one port of the operator is open to its own namespace, and to those that read metrics', { skip }, async () => {
  const policyOf = async (...settings: readonly string[]) => only(await template(...settings), 'NetworkPolicy').spec;
  const ports = [{ port: 'http', protocol: 'TCP' }];
  const { podSelector, policyTypes, ingress } = (await policyOf()) ?? {};
  assert.deepEqual([policyTypes, ingress], [['Ingress'], [{ from: [{ podSelector: {} }], ports }]]);
  assert.deepEqual(podSelector, deployment(await template()).selector);
  const prometheus = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } };
  const opened = await policyOf('networkPolicy.metricsNamespaces={monitoring}');
  assert.deepEqual(opened?.['ingress'], [{ from: [{ podSelector: {} }, prometheus], ports }]);
  const { args } = deployment(await template('networkPolicy.metricsNamespaces={monitoring}')).template.spec.containers[0];
  assert.ok(args.includes('--metrics-namespaces=monitoring'));
  assert.deepEqual(names(await template('networkPolicy.enabled=false'), 'NetworkPolicy'), []);
});

test('one replica has no disruption budget, which could only keep its node from being drained', { skip }, async () => {
  const manifests = await template('replicas=1');
  assert.equal(deployment(manifests).replicas, 1);
  assert.deepEqual(names(manifests, 'PodDisruptionBudget'), []);
});

test('placement, pull secrets and labels reach the pods', { skip }, async () => {
  const { template: pod } = deployment(
    await template(
      ...['imagePullSecrets={mirror}', 'podLabels.team=streams', 'podAnnotations.note=x', 'priorityClassName=high'],
      ...['nodeSelector.disk=ssd', 'tolerations[0].key=dedicated', 'tolerations[0].operator=Exists', 'affinity.nodeAffinity.x=y'],
    ),
  );
  const { imagePullSecrets, priorityClassName, nodeSelector, tolerations, affinity } = pod.spec as unknown as Record<
    string,
    unknown
  >;
  assert.deepEqual(
    { imagePullSecrets, priorityClassName, nodeSelector, tolerations, affinity },
    {
      imagePullSecrets: [{ name: 'mirror' }],
      priorityClassName: 'high',
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'dedicated', operator: 'Exists' }],
      affinity: { nodeAffinity: { x: 'y' } },
    },
  );
  assert.equal(pod.metadata.labels['team'], 'streams');
});

test('an image may be named by digest', { skip }, async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const manifests = await template('image.repository=registry.example/op', 'image.tag=v9', `image.digest=${digest}`);
  assert.equal(deployment(manifests).template.spec.containers[0].image, `registry.example/op@${digest}`);
});

test('the definition in the release is the one in crds/, kept when the release goes', { skip }, async () => {
  const rendered = await template();
  const files = readdirSync(`${root}crds`);
  assert.deepEqual(
    names(rendered, 'CustomResourceDefinition').map((name) => `${name}.yaml`),
    files.toSorted(),
  );
  for (const file of files) {
    const { metadata: plainMetadata, ...plain } = parse(readFileSync(`${root}crds/${file}`, 'utf8')) as Manifest;
    const found = rendered.find(({ metadata: { name } }) => name === plainMetadata.name);
    const { metadata, ...definition } = found as Manifest;
    assert.deepEqual(definition, plain);
    assert.equal(metadata.annotations?.['helm.sh/resource-policy'], 'keep');
  }
});

test('nothing of a release stands between people and the API server that could be away or out of date', { skip }, async () => {
  const rendered = await template(
    'monitoring.prometheusRule.enabled=true',
    'monitoring.serviceMonitor.enabled=true',
    'metrics.service=true',
  );
  assert.deepEqual(
    rendered.filter(({ kind }) => /Webhook|APIService/.test(kind)).map(({ kind }) => kind),
    [],
  );
  const definitions = rendered.filter(({ kind }) => kind === 'CustomResourceDefinition');
  assert.ok(definitions.length > 0);
  assert.deepEqual(
    definitions.flatMap(({ spec }) => spec?.['conversion'] ?? []),
    [],
  );
});

test('a release may leave the definitions to another one', { skip }, async () => {
  assert.deepEqual(names(await template('crds.install=false'), 'CustomResourceDefinition'), []);
});

/** Settings, and what the message says. */
const refused: readonly (readonly [string, RegExp])[] = [
  ['replica=3', /additional properties 'replica' not allowed/],
  ['replicas=0', /\/replicas': minimum: got 0, want 1/],
  ['replicas=two', /\/replicas': got string, want integer/],
  ['namespaces={Team_A}', /\/namespaces\/0': 'Team_A' does not match pattern/],
  ['namespaces=team-a', /\/namespaces': got string, want array/],
  ['logLevel=verbose', /\/logLevel': value must be one of 'debug', 'info', 'warn', 'error'/],
  ['image.tag=9', /\/image\/tag': got number, want string/],
  ['image.digest=latest', /\/image\/digest': 'latest' does not match pattern/],
  ['credentials.keyPeriodSeconds=60', /\/credentials\/keyPeriodSeconds': minimum: got 60, want 600/],
  ['networkPolicy.metricsNamespaces=monitoring', /\/networkPolicy\/metricsNamespaces': got string, want array/],
  ['crds.instal=false', /\/crds': additional properties 'instal' not allowed/],
  ['serviceAccount.create=false', /serviceAccount\.name has to name an existing service account/],
];

for (const [setting, message] of refused) {
  test(`${setting} is refused by name`, { skip }, async () => {
    await assert.rejects(template(setting), message);
  });
}
