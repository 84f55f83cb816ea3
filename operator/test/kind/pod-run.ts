/** A program that runs in the cluster, in the namespace of the jobs, as a Kubernetes Job under the restricted Pod Security Standard. */
import { applyManifest, jobNamespace, kubectl, kubectlSays, listAll, until } from './cluster-under-test.ts';

export const outputClaim = 'output';
export const outputDirectory = '/output';
export const bucketSecret = 'bucket';
/** Of hack/kind/s3-server.yaml, which is there for trying things out. */
export const secretKeyOfBucket = 'not-a-secret';
export const checkerConfigMap = 'checker';

let runs = 0;

export interface PodRun {
  readonly code: number;
  readonly said: string;
}

/** Of the runtime's image, with the output of jobs, the checker and the credentials of the bucket. Gives what it printed and how it ended. */
export async function runInPod(title: string, command: readonly string[], namespace = jobNamespace): Promise<PodRun> {
  runs += 1;
  const name = `${title}-${process.pid}-${runs}`;
  await applyManifest(podRunJob({ namespace, name }, command));
  const [code, said] = await until(
    `${name} has ended`,
    () => endOf(namespace, name),
    () => kubectlSays('--namespace', namespace, 'describe', `job/${name}`),
  );
  await kubectl('--namespace', namespace, 'delete', 'job', name, '--wait=false');
  return { code, said };
}

async function endOf(namespace: string, name: string): Promise<readonly [number, string] | undefined> {
  const [pod] = await listAll<{
    readonly status?: {
      readonly containerStatuses?: readonly { readonly state?: { readonly terminated?: { readonly exitCode: number } } }[];
    };
  }>(namespace, 'pods', `batch.kubernetes.io/job-name=${name}`);
  const ended = pod?.status?.containerStatuses?.[0]?.state?.terminated;
  return ended === undefined
    ? undefined
    : [ended.exitCode, (await kubectl('--namespace', namespace, 'logs', `job/${name}`)).trim()];
}

function podRunJob(metadata: { readonly namespace: string; readonly name: string }, command: readonly string[]): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata,
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: 180,
      template: {
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [
            {
              name: 'program',
              image: 'keyed-count:1',
              command,
              envFrom: [{ secretRef: { name: bucketSecret } }],
              resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '512Mi' } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [
                { name: 'output', mountPath: outputDirectory, readOnly: true },
                { name: 'checker', mountPath: '/checker' },
              ],
            },
          ],
          volumes: [
            { name: 'output', persistentVolumeClaim: { claimName: outputClaim } },
            { name: 'checker', configMap: { name: checkerConfigMap } },
          ],
        },
      },
    },
  };
}
