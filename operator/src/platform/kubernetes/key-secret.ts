import { type HeldKeys, parseHeldKeys } from '../../credentials/held-keys.ts';
import type { JobReference } from '../platform.ts';
import type { ConfigMap, Container, Deployment, PodSpec, StatefulSet } from './kubernetes-objects.ts';
import { type KeySecret, kinds } from './kubernetes-objects.ts';
import { keySecretName, metadataOf } from './names.ts';

/** No other Secret has it; the operator's own rights can be confined to it. It cannot be changed, so one of a person by this name is never written over. */
const keySecretType = 'flinkjob.dev/job-keys';

const volumeName = 'flinkjob-keys';
/** Where an author's mounts are refused. */
const mountPath = '/var/lib/flinkjob/keys';
const fileName = 'keys.json';

/** Where the pods of a job find its keys. */
export const keyFilePath = `${mountPath}/${fileName}`;

/** The keys of a job. It is written as a whole and never read: whoever has the root key knows what is in it. */
export function keySecretOf(job: JobReference, content: string): KeySecret {
  return {
    ...kinds.secret,
    metadata: metadataOf(job, keySecretName(job)),
    type: keySecretType,
    data: { [fileName]: Buffer.from(content).toString('base64') },
  };
}

const recordName = 'held.json';

/** Which keys the Secret holds, for who cannot read it; under the same name. No key is in it. */
export function keyRecordOf(job: JobReference, held: HeldKeys): ConfigMap {
  return {
    ...kinds.configMap,
    metadata: metadataOf(job, keySecretName(job)),
    immutable: false,
    data: { [recordName]: JSON.stringify(held) },
  };
}

export function recordedIn({ data }: Pick<ConfigMap, 'data'>): HeldKeys | undefined {
  return parseHeldKeys(data[recordName] ?? '');
}

/** The whole folder is mounted: a single file in it would stay as it was when the pod started. */
export function keyVolumeOf(job: JobReference): {
  readonly volumes: PodSpec['volumes'];
  readonly volumeMounts: Container['volumeMounts'];
} {
  return {
    volumes: [{ name: volumeName, secret: { secretName: keySecretName(job) } }],
    volumeMounts: [{ name: volumeName, mountPath, readOnly: true }],
  };
}

export function hasKeys({ spec }: Deployment | StatefulSet): boolean {
  return spec.template.spec.volumes.some(({ name }) => name === volumeName);
}
