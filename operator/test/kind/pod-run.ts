/** A program that runs in the cluster, in the namespace of the jobs, as a Kubernetes Job under the restricted Pod Security Standard. */
import { applyManifest, jobNamespace, kubectl, kubectlSays, listAll, until } from './cluster-under-test.ts';

export const outputClaim = 'output';
export const outputDirectory = '/output';
export const bucketSecret = 'bucket';
export const checkerConfigMap = 'checker';

let runs = 0;

export interface PodRun {
  readonly code: number;
  readonly said: string;
}

/** Of the runtime's image, with the output of jobs, the checker and the credentials of the bucket. Gives what it printed and how it ended. */
export async function runInPod(title: string, command: readonly string[]): Promise<PodRun> {
  runs += 1;
  const name = `${title}-${process.pid}-${runs}`;
  await applyManifest(podRunJob(name, command));
  const [code, said] = await until(
    `${name} has ended`,
    () => endOf(name),
    () => kubectlSays('--namespace', jobNamespace, 'describe', `job/${name}`),
  );
  await kubectl('--namespace', jobNamespace, 'delete', 'job', name, '--wait=false');
  return { code, said };
}

async function endOf(name: string): Promise<readonly [number, string] | undefined> {
  const [pod] = await listAll<{
    readonly status?: {
      readonly containerStatuses?: readonly { readonly state?: { readonly terminated?: { readonly exitCode: number } } }[];
    };
  }>(jobNamespace, 'pods', `batch.kubernetes.io/job-name=${name}`);
  const ended = pod?.status?.containerStatuses?.[0]?.state?.terminated;
  return ended === undefined
    ? undefined
    : [ended.exitCode, (await kubectl('--namespace', jobNamespace, 'logs', `job/${name}`)).trim()];
}

function podRunJob(name: string, command: readonly string[]): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: jobNamespace },
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
