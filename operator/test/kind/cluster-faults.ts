/** What befalls a cluster as a whole: nodes that are drained, storage that is away, a control plane that dies or stands still. */
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, run } from '../../../hack/kind/command.ts';
import {
  kubectl,
  kubectlSays,
  listAll,
  operatorDeployment,
  operatorNamespace,
  type PodInCluster,
  until,
} from './cluster-under-test.ts';

const controlPlaneNode = 'flinkjob-control-plane';
/** Those of the control plane, by container. What else runs on its node, like the S3 server of the tests, is none of it. */
const controlPlane = ['kube-apiserver', 'etcd', 'kube-controller-manager', 'kube-scheduler'] as const;

/** As before maintenance of the node's machine: all pods leave it, and no new ones come. Gives what kubectl printed. */
export async function drainNode(node: string): Promise<string> {
  return await kubectl('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=150s');
}

export async function uncordonNode(node: string): Promise<void> {
  await kubectl('uncordon', node);
}

/** Looks again and again while `work` goes on, and gives all that was seen. */
export async function lookDuring<T, W>(
  look: () => Promise<T>,
  work: Promise<W>,
): Promise<{ readonly seen: readonly T[]; readonly result: W }> {
  const seen: T[] = [];
  let isOver = false;
  const end = work.finally(() => {
    isOver = true;
  });
  // It is awaited below; until then nobody would hear of its failure.
  end.catch(() => {});
  while (!isOver) {
    seen.push(await look());
  }
  return { seen, result: await end };
}

/** As when the S3 server's process is gone: whoever asks is refused, also on connections that are there. What it holds stays. */
export async function stopStorage(): Promise<void> {
  await run('docker', ['exec', controlPlaneNode, 'iptables', '--insert', ...(await storageRule())]);
}

/** Does nothing when it runs. */
export async function startStorage(): Promise<void> {
  const remove = ['exec', controlPlaneNode, 'iptables', '--delete', ...(await storageRule())];
  while ((await attempt('docker', remove)).code === 0) {}
}

async function storageRule(): Promise<readonly string[]> {
  const [pod] = await listAll<PodInCluster>('storage', 'pods', 'app=s3');
  const to = ['--destination', pod?.status?.podIP ?? '', '--protocol', 'tcp', '--destination-port', '7070'];
  return ['FORWARD', ...to, '--jump', 'REJECT', '--reject-with', 'tcp-reset'];
}

/** SIGKILL; its kubelet starts it again. Until that one answers. */
export async function killApiServer(): Promise<void> {
  const [before = ''] = await tasksOf('kube-apiserver');
  await ctr('tasks', 'kill', '--signal', 'SIGKILL', before);
  await until('another API server runs', async () =>
    (await tasksOf('kube-apiserver')).some((task) => task !== before) ? true : undefined,
  );
  await untilApiServerAnswers();
}

const paused = new Set<string>();

/** All of its processes stand still, as those of a machine that hangs: connections stay, and nobody answers. `meanwhile` must not ask it anything. */
export async function pauseControlPlane(durationMs: number, meanwhile: () => Promise<void>): Promise<void> {
  const tasks = (await Promise.all(controlPlane.map(tasksOf))).flat();
  try {
    for (const task of tasks) {
      paused.add(task);
      await ctr('tasks', 'pause', task);
    }
    const over = sleep(durationMs);
    await meanwhile();
    await over;
  } finally {
    await resumeControlPlane();
  }
}

/** Does nothing when it runs. */
async function resumeControlPlane(): Promise<void> {
  for (const task of paused) {
    await attempt('docker', ['exec', controlPlaneNode, 'ctr', '--namespace', 'k8s.io', 'tasks', 'resume', task]);
    paused.delete(task);
  }
  await untilApiServerAnswers();
}

async function untilApiServerAnswers(): Promise<void> {
  await until('the API server answers', async () =>
    (await kubectlSays('get', '--raw', '/readyz', '--request-timeout=5s')) === 'ok' ? true : undefined,
  );
  await kubectl('wait', '--for=condition=Ready', 'nodes', `--selector=${controlPlaneLabel}`, '--timeout=120s');
}

const controlPlaneLabel = 'node-role.kubernetes.io/control-plane';

/** Running containers of that name in static pods. */
async function tasksOf(container: string): Promise<readonly string[]> {
  const ofName = `labels."io.kubernetes.container.name"==${container}`;
  const all = (await ctr('containers', 'list', '--quiet', ofName)).split('\n');
  const running = new Set(
    (await ctr('tasks', 'list')).split('\n').flatMap((line) => (/RUNNING/.test(line) ? line.split(/\s+/, 1) : [])),
  );
  return all.filter((id) => running.has(id));
}

async function ctr(...args: readonly string[]): Promise<string> {
  return await run('docker', ['exec', controlPlaneNode, 'ctr', '--namespace', 'k8s.io', ...args]);
}

interface Lease {
  readonly spec?: { readonly holderIdentity?: string; readonly renewTime?: string };
}

/** Waits until a replica of the operator has renewed its lease later than now. Gives who holds it. */
export async function untilOperatorLeads(): Promise<string> {
  const sinceMs = Date.now();
  return await until('a replica of the operator holds the lease', async () => {
    const leases = await listAll<Lease & { readonly metadata: { readonly name: string } }>(operatorNamespace, 'leases');
    const lease = leases.find(({ metadata }) => metadata.name === operatorDeployment);
    const isRenewed = Date.parse(lease?.spec?.renewTime ?? '') > sinceMs;
    return isRenewed ? lease?.spec?.holderIdentity || undefined : undefined;
  });
}
