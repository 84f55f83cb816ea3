/** What a person with kubectl and access to the machines of the nodes can see and do: the cluster of `npm run test:kind`. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clusterEnvironment } from '../../../hack/kind/cluster.ts';
import { attempt, run } from '../../../hack/kind/command.ts';
import { binDirectory } from '../../../hack/kind/paths.ts';
import type { KubernetesObject } from '../../src/kubernetes/object-client.ts';
import type { Pod } from '../../src/platform/kubernetes/kubernetes-objects.ts';

export const operatorNamespace = 'flinkjob-system';
export const jobNamespace = 'streams';
export const operatorDeployment = 'flinkjob-flinkjob-operator';

const program = join(binDirectory, 'kubectl');
const commandTimeoutMs = 180_000;
const pollIntervalMs = 250;
/** Generous: it only matters when something is broken. */
const deadlineMs = 240_000;

export interface PodInCluster extends Pod {
  readonly spec?: Pod['spec'] & { readonly nodeName?: string };
  readonly status?: Pod['status'] & {
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly containerID?: string;
      readonly restartCount?: number;
    }[];
  };
}

/** Gives what it printed. Throws `KindError` with its last words. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  return await run(program, args, { env: clusterEnvironment, timeoutMs: commandTimeoutMs });
}

/** Gives what it printed, whether it succeeded or not. */
export async function kubectlSays(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await attempt(program, args, { env: clusterEnvironment, timeoutMs: commandTimeoutMs });
  return `${stdout}${stderr}`;
}

export async function applyManifest(...objects: readonly object[]): Promise<void> {
  const input = objects.map((object) => JSON.stringify(object)).join('\n---\n');
  await run(program, ['apply', '--filename', '-'], { env: clusterEnvironment, input, timeoutMs: commandTimeoutMs });
}

/** Undefined when there is none. */
export async function find<T extends KubernetesObject>(
  namespace: string,
  resource: string,
  name: string,
): Promise<T | undefined> {
  const printed = await kubectl('--namespace', namespace, 'get', resource, name, '--ignore-not-found', '--output=json');
  return printed === '' ? undefined : (JSON.parse(printed) as T);
}

export async function listAll<T>(namespace: string, resource: string, selector = ''): Promise<readonly T[]> {
  const args = ['get', resource, `--selector=${selector}`, '--output=json'];
  return (JSON.parse(await kubectl('--namespace', namespace, ...args)) as { readonly items: readonly T[] }).items;
}

/** Looks until it is not undefined. `describe` says, when time is up, how things are. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, describe?: () => Promise<string>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) {
      return seen;
    }
    if (performance.now() > deadline) {
      throw new Error(`not so within ${deadlineMs / 1_000} s: ${what}\n${(await describe?.()) ?? ''}`);
    }
    await sleep(pollIntervalMs);
  }
}

/** As when the machine under a node stops: nothing on it runs, and nobody is told. */
export async function pauseNode(node: string): Promise<void> {
  await run('docker', ['pause', node]);
}

export async function unpauseNode(node: string): Promise<void> {
  await run('docker', ['unpause', node]);
  await kubectl('wait', '--for=condition=Ready', `node/${node}`, '--timeout=120s');
}

/** SIGKILL to the first process of the pod's container. */
export async function killContainer(pod: PodInCluster): Promise<void> {
  const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('containerd://', '') ?? '';
  const ctr = ['ctr', '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', id];
  await run('docker', ['exec', pod.spec?.nodeName ?? '', ...ctr]);
}

export async function scaleOperator(replicas: number): Promise<void> {
  await kubectl('--namespace', operatorNamespace, 'scale', 'deployment', operatorDeployment, `--replicas=${replicas}`);
  await until(`the operator has ${replicas} pods`, async () => {
    const pods = await listAll<Pod>(operatorNamespace, 'pods', 'app.kubernetes.io/name=flinkjob-operator');
    const ready = pods.filter(({ status }) =>
      status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    );
    return pods.length === replicas && ready.length === replicas ? true : undefined;
  });
}

/** All objects in the bucket, seen without S3: the server keeps each as a file in its pod's directory on the node. */
export async function objectsInBucket(namespace = 'storage'): Promise<readonly string[]> {
  const [pod] = await listAll<PodInCluster>(namespace, 'pods', 'app=s3');
  const directory = `/var/lib/kubelet/pods/${pod?.metadata.uid}/volumes/kubernetes.io~empty-dir/checkpoints`;
  // Jobs delete folders meanwhile.
  const find = ['find', directory, '-ignore_readdir_race', '-type', 'f', '-printf', '%P\\n'];
  const listed = await run('docker', ['exec', pod?.spec?.nodeName ?? '', ...find]);
  return listed.split('\n').filter((name) => name !== '' && !name.startsWith('.'));
}
