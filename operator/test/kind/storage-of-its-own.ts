/** An S3 server in a namespace of its own, which knows users: a key can be refused there without anybody else noticing. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { applyManifest, kubectl, until } from './cluster-under-test.ts';
import { bucketSecret, secretKeyOfBucket } from './pod-run.ts';

const shared = fileURLToPath(new URL('../../../hack/kind/s3-server.yaml', import.meta.url));
const rootKeyId = 'trying-things-out';
const user = 'job';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: { args: string[]; volumeMounts: object[] }[];
        readonly volumes: object[];
      };
    };
  };
}

/** The one that all share, once more, with a directory of users. The namespace is there. */
export async function startStorageOfItsOwn(namespace: string): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(shared, 'utf8'))) {
    const manifest = document.toJS() as Manifest;
    if (manifest.kind === 'Deployment') {
      const { containers, volumes } = manifest.spec.template.spec;
      for (const container of containers) {
        // Without the cache a key counts, and counts no more, from that moment on.
        container.args.unshift('--iam-dir', '/users', '--iam-cache-disable');
        container.volumeMounts.push({ name: 'users', mountPath: '/users' });
      }
      volumes.push({ name: 'users', emptyDir: {} });
    }
    if (manifest.kind !== 'Namespace') {
      await applyManifest({ ...manifest, metadata: { ...manifest.metadata, namespace } });
    }
  }
  await kubectl('--namespace', namespace, 'rollout', 'status', 'deployment/s3', '--timeout=120s');
}

export async function createUser(namespace: string, secretKey: string): Promise<void> {
  await until('the S3 server takes users', async () =>
    administer(namespace, 'create-user', '--access', user, '--secret', secretKey, '--role', 'admin').then(
      () => true,
      (error: Error) => (/Connection refused|connection refused/.test(error.message) ? undefined : Promise.reject(error)),
    ),
  );
}

/** From now on the server takes this key of the user, and no other. */
export async function setKeyOnServer(namespace: string, secretKey: string): Promise<void> {
  await administer(namespace, 'update-user', '--access', user, '--secret', secretKey);
}

/** What the pods that start from now on have. */
export async function setKeyInSecret(namespace: string, secretKey: string): Promise<void> {
  await applyManifest({
    ...{ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name: bucketSecret } },
    stringData: {
      AWS_ENDPOINT_URL_S3: `http://s3.${namespace}.svc:7070`,
      AWS_ACCESS_KEY_ID: user,
      AWS_SECRET_ACCESS_KEY: secretKey,
    },
  });
}

async function administer(namespace: string, ...args: readonly string[]): Promise<void> {
  const root = ['--access', rootKeyId, '--secret', secretKeyOfBucket, '--endpoint-url', 'http://127.0.0.1:7070'];
  await kubectl('--namespace', namespace, 'exec', 'deployment/s3', '--', '/versitygw', 'admin', ...root, ...args);
}
