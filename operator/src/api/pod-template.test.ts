import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlinkJobSpec } from './parse-flink-job.ts';

// What the spec refuses of pod templates, and in which words. The API server refuses the same by the rules in the definition: test/api/workload-objects.test.ts. What becomes of
// the rest is in platform/kubernetes/workloads.test.ts.

const specWith = (podTemplate: object, more: object = {}): object => ({
  ...{ image: 'example/words:1', job: { module: '/app/words.js' }, state: { checkpointStorage: 's3://bucket/jobs' } },
  ...{ podTemplate, ...more },
});

const volume = { name: 'data', emptyDir: {} };
const refused: readonly (readonly [string, object, RegExp])[] = [
  [
    'a volume of the node',
    specWith({ volumes: [{ name: 'root', hostPath: { path: '/' } }] }),
    /podTemplate\.volumes\[0\]\.hostPath: unknown/,
  ],
  ['a volume of nothing', specWith({ volumes: [{ name: 'data' }] }), /volumes\[0\]: expected exactly one of configMap, secret,/],
  [
    'a volume of two things',
    specWith({ volumes: [{ ...volume, secret: { secretName: 'ca' } }] }),
    /volumes\[0\]: expected exactly one of/,
  ],
  [
    'a volume with a name of ours',
    specWith({ volumes: [{ ...volume, name: 'flinkjob-state' }] }),
    /volumes\[0\]\.name: expected a name that does not begin with flinkjob-/,
  ],
  [
    'a mount over our state',
    specWith({ volumes: [volume], volumeMounts: [{ name: 'data', mountPath: '/var/lib/flinkjob/state' }] }),
    /volumeMounts\[0\]\.mountPath: expected another path/,
  ],
  [
    'a mount in place of /tmp',
    specWith({ volumes: [volume], volumeMounts: [{ name: 'data', mountPath: '/tmp' }] }),
    /mountPath: expected another path than \/tmp/,
  ],
  [
    'a mount of a volume that is not there',
    specWith({ volumes: [volume], volumeMounts: [{ name: 'date', mountPath: '/data' }] }),
    /podTemplate\.volumeMounts\[0\]\.name: expected the name of a volume in spec\.podTemplate\.volumes/,
  ],
  [
    'a mount for all of what one role has',
    specWith({ volumeMounts: [{ name: 'data', mountPath: '/data' }] }, { taskManager: { podTemplate: { volumes: [volume] } } }),
    /podTemplate\.volumeMounts\[0\]\.name/,
  ],
  [
    'a mount of a role of what nobody has',
    specWith({}, { taskManager: { podTemplate: { volumeMounts: [{ name: 'data', mountPath: '/data' }] } } }),
    /taskManager\.podTemplate\.volumeMounts\[0\]\.name: expected the name of a volume in spec\.podTemplate\.volumes or/,
  ],
  ['a variable of ours', specWith({ env: [{ name: 'POD_UID', value: 'mine' }] }), /env\[0\]\.name: expected another name than/],
  [
    'a label of ours',
    specWith({ labels: { 'flinkjob.dev/component': 'other' } }),
    /podTemplate\.labels: expected no label by which/,
  ],
  [
    'a label by which Jobs are found',
    specWith({ labels: { 'batch.kubernetes.io/job-name': 'other' } }),
    /podTemplate\.labels: expected no label by which/,
  ],
  [
    'another container in place of the job’s',
    specWith({ containers: [{ name: 'flinkjob', image: 'other' }] }),
    /containers\[0\]\.name: expected another name than flinkjob/,
  ],
  ['the user root', specWith({ securityContext: { runAsUser: 0 } }), /runAsUser: expected an integer from 1/],
  [
    'less time to end than a JobManager takes',
    specWith({ terminationGracePeriodSeconds: 1 }),
    /terminationGracePeriodSeconds: expected an integer from 10/,
  ],
];

for (const [name, spec, message] of refused) {
  test(`${name} is refused`, () => {
    const parsed = parseFlinkJobSpec(spec);
    assert.ok(!parsed.ok);
    assert.match(parsed.problems.map((problem) => problem.message).join('\n'), message);
  });
}

test('every kind of volume that the restricted Pod Security Standard allows is taken', () => {
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
  const volumes = [
    { name: 'a', configMap: { name: 'module', items: [{ key: 'job.js', path: 'job.js' }] } },
    { name: 'b', secret: { secretName: 'ca', defaultMode: 0o400 } },
    { name: 'c', persistentVolumeClaim: { claimName: 'shared', readOnly: true } },
    { name: 'd', emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
    { name: 'e', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'cloud' } }] } },
    { name: 'f', csi: { driver: 'secrets-store.csi.k8s.io', readOnly: true, volumeAttributes: { class: 'words' } } },
    { name: 'g', ephemeral: { volumeClaimTemplate: { spec: claim } } },
  ];
  const parsed = parseFlinkJobSpec(specWith({ volumes }));
  assert.ok(parsed.ok, JSON.stringify(parsed));
  assert.deepEqual(parsed.value.podTemplate?.volumes, volumes);
});

test('what Kubernetes knows and this schema does not comes through as it is written', () => {
  const containers = [{ name: 'proxy', image: 'example/proxy:1', resources: { limits: { 'example.com/device': 1 } } }];
  const affinity = { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } };
  const parsed = parseFlinkJobSpec(specWith({ containers, affinity }));
  assert.ok(parsed.ok, JSON.stringify(parsed));
  assert.deepEqual(parsed.value.podTemplate, { containers, affinity });
});

test('a mount path is judged as it is written, so it may not lead elsewhere', () => {
  for (const mountPath of ['/data/../tmp', '/data/.', '/./opt/flinkjob', '/..', '/data/../../etc/flinkjob']) {
    const parsed = parseFlinkJobSpec(
      specWith({ volumes: [{ name: 'data', emptyDir: {} }], volumeMounts: [{ name: 'data', mountPath }] }),
    );
    assert.ok(!parsed.ok, mountPath);
    assert.equal(
      parsed.problems[0]?.message,
      `spec.podTemplate.volumeMounts[0].mountPath: expected a path without . and .. in it, got "${mountPath}"`,
    );
    assert.equal(parsed.problems.length, 1);
  }
  for (const mountPath of ['/data/.hidden', '/data/..data', '/a.b/c..d']) {
    assert.ok(
      parseFlinkJobSpec(specWith({ volumes: [{ name: 'data', emptyDir: {} }], volumeMounts: [{ name: 'data', mountPath }] })).ok,
    );
  }
});
