import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { buildHelm } from '../helm/build-helm.ts';
import { digest } from './cache.ts';
import { coreDnsTag, imagePrefix } from './cluster-images.ts';
import { attempt, KindError, run, say, stage } from './command.ts';
import { ensureDockerEngine } from './docker-engine.ts';
import { buildGoProgram, putIntoBin } from './go-programs.ts';
import { chooseImageSource } from './image-source.ts';
import { ensureNodeImage } from './node-image.ts';
import { binDirectory, cacheDirectory, kindDirectory, kubeconfigFile, sharedDirectory, sharedDirectoryOfNodes } from './paths.ts';

const clusterName = 'flinkjob';
const ofCluster = ['--filter', `label=io.x-k8s.kind.cluster=${clusterName}`] as const;
/** The configuration that the running cluster was made from; written once the cluster is whole. */
const stateFile = join(cacheDirectory, 'cluster.json');
const createTimeoutMs = 15 * 60_000;
const readyTimeoutSeconds = 300;
const loadTimeoutMs = 10 * 60_000;

/** A cluster of three Ready nodes; the one that is there if it was made from the same image and configuration. Throws `KindError`. */
export async function clusterUp(): Promise<void> {
  await stage('docker engine', ensureDockerEngine);
  const { source, why } = await chooseImageSource();
  say(source === 'registry' ? `kind's own node image: ${why}` : `a node image built here: ${why}`);
  putIntoBin('kind', await buildGoProgram('kind'));
  const image = source === 'built' ? await ensureNodeImage() : undefined;
  const configuration = clusterConfiguration(image);
  const wanted = digest([configuration]);
  await wakeNodes();
  if ((await runningCluster()) !== wanted) {
    await removeCluster();
    await stage('cluster', () => createCluster(configuration));
  }
  await putKubectlIntoBin(image);
  await stage('nodes and system pods are ready', waitUntilReady);
  putIntoBin('helm', await buildHelm());
  writeFileSync(stateFile, JSON.stringify({ configuration: wanted }));
  say(`KUBECONFIG=${kubeconfigFile}, programs in ${binDirectory}`);
  process.stdout.write(await kubectl('get', 'nodes'));
}

/** Does nothing when there is none. */
export async function clusterDown(): Promise<void> {
  if ((await attempt('docker', ['version'])).code !== 0) {
    say('no Docker engine answers, so no cluster runs');
    return;
  }
  await stage('removing the cluster', removeCluster);
}

/**
 * Images of the local Docker engine, to every node that has not just these. Pods then need `imagePullPolicy: IfNotPresent` or `Never`. Gives the names of those
 * that had to be copied.
 */
export async function loadImages(images: readonly string[]): Promise<readonly string[]> {
  const nodes = (await run(await kindProgram(), ['get', 'nodes', '--name', clusterName])).trim().split('\n');
  const missing: string[] = [];
  for (const image of images) {
    const id = (await run('docker', ['image', 'inspect', '--format', '{{.Id}}', image])).trim();
    const found = await Promise.all(nodes.map((node) => imageIdOn(node, image)));
    if (found.some((each) => each !== id)) {
      missing.push(image);
    }
  }
  if (missing.length > 0) {
    await run(await kindProgram(), ['load', 'docker-image', '--name', clusterName, ...missing], {
      timeoutMs: loadTimeoutMs,
      progress: 'loading',
    });
  }
  return missing;
}

/** What the node's containerd has under this name, as the engine would call it. */
async function imageIdOn(node: string, image: string): Promise<string | undefined> {
  const ctr = ['exec', node, 'ctr', '--namespace', 'k8s.io'];
  const fullName = image.includes('/') ? `docker.io/${image}` : `docker.io/library/${image}`;
  const listed = await attempt('docker', [...ctr, 'images', 'list', `name==${fullName}`]);
  const manifest = /sha256:[0-9a-f]{64}/.exec(listed.stdout)?.[0];
  const { code, stdout } = await attempt('docker', [...ctr, 'content', 'get', manifest ?? 'none']);
  return code === 0 ? (JSON.parse(stdout) as { readonly config?: { readonly digest?: string } }).config?.digest : undefined;
}

/** What kubectl and helm need to find this cluster, and nothing of the user's. */
export const clusterEnvironment = {
  KUBECONFIG: kubeconfigFile,
  // It would be in ~/.kube otherwise.
  KUBECACHEDIR: join(cacheDirectory, 'kubectl-cache'),
} as const;

export async function kubectl(...args: readonly string[]): Promise<string> {
  const timeoutMs = (readyTimeoutSeconds + 30) * 1_000;
  return await run(join(binDirectory, 'kubectl'), args, { env: clusterEnvironment, timeoutMs });
}

async function createCluster(configuration: string): Promise<void> {
  const config = ['--config', '-', '--kubeconfig', kubeconfigFile];
  await run(await kindProgram(), ['create', 'cluster', ...config, '--wait', `${readyTimeoutSeconds}s`], {
    input: configuration,
    timeoutMs: createTimeoutMs,
    progress: 'kind create cluster',
  });
}

/** `--wait` is for the control plane alone. */
async function waitUntilReady(): Promise<void> {
  const timeout = `--timeout=${readyTimeoutSeconds}s`;
  await kubectl('wait', '--for=condition=Ready', 'nodes', '--all', timeout);
  for (const [namespace, workload] of [
    ['kube-system', 'deployment/coredns'],
    ['kube-system', 'daemonset/kube-proxy'],
    ['local-path-storage', 'deployment/local-path-provisioner'],
  ] as const) {
    await kubectl('-n', namespace, 'rollout', 'status', workload, timeout);
  }
}

/** A test that was killed may have left a node paused, which counts as running and does nothing. */
async function wakeNodes(): Promise<void> {
  const paused = (await run('docker', ['ps', '--quiet', ...ofCluster, '--filter', 'status=paused'])).split('\n').filter(Boolean);
  if (paused.length > 0) {
    say('a node is paused, and goes on');
    await run('docker', ['unpause', ...paused]);
  }
}

/** Undefined when there is none, when it never became whole, and when its nodes do not run, as after a restart of the machine. */
async function runningCluster(): Promise<string | undefined> {
  if (!existsSync(stateFile) || !existsSync(kubeconfigFile)) {
    return undefined;
  }
  const running = await run('docker', ['ps', '--quiet', ...ofCluster]);
  const all = await run('docker', ['ps', '--all', '--quiet', ...ofCluster]);
  return running === all && running !== '' ? JSON.parse(readFileSync(stateFile, 'utf8')).configuration : undefined;
}

async function removeCluster(): Promise<void> {
  rmSync(stateFile, { force: true });
  await run(await kindProgram(), ['delete', 'cluster', '--name', clusterName, '--kubeconfig', kubeconfigFile], {
    timeoutMs: createTimeoutMs,
  });
  rmSync(kubeconfigFile, { force: true });
}

function clusterConfiguration(image: string | undefined): string {
  const configuration = parse(readFileSync(join(kindDirectory, 'cluster.yaml'), 'utf8'));
  mkdirSync(sharedDirectory, { recursive: true });
  // For pods that run as whoever their image says.
  chmodSync(sharedDirectory, 0o1777);
  for (const node of configuration.nodes) {
    node.extraMounts = [{ hostPath: realpathSync(sharedDirectory), containerPath: sharedDirectoryOfNodes }];
  }
  if (image !== undefined) {
    for (const node of configuration.nodes) {
      node.image = image;
    }
    // kubeadm's own names would have the nodes ask a registry.
    const ours = { kind: 'ClusterConfiguration', imageRepository: imagePrefix, dns: { imageTag: coreDnsTag() } };
    configuration.kubeadmConfigPatches.push(stringify(ours));
  }
  return stringify(configuration);
}

async function kindProgram(): Promise<string> {
  return await buildGoProgram('kind');
}

/** Of the same version as the cluster, in either case. */
async function putKubectlIntoBin(image: string | undefined): Promise<void> {
  if (image !== undefined) {
    putIntoBin('kubectl', await buildGoProgram('kubernetes'));
    return;
  }
  const file = join(cacheDirectory, 'kubectl-of-node');
  const from = `${clusterName}-control-plane:/usr/bin/kubectl`;
  await run('docker', ['cp', from, file], { timeoutMs: loadTimeoutMs });
  if (!existsSync(file)) {
    throw new KindError(`docker cp ${from} gave no file`);
  }
  putIntoBin('kubectl', file);
}
