/**
 * The images that a cluster needs before it can pull any: Kubernetes' own and those for network and storage, each with the one or two programs that
 * it runs and nothing else. Under `localhost/flinkjob`, so that no node ever asks a registry for one of them.
 */
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cachedDirectory } from './cache.ts';
import { KindError, run } from './command.ts';
import { buildGoProgram, type GoProgramName, kubernetesVersion, versionOf } from './go-programs.ts';
import { debianOfNode } from './node-root.ts';
import { cacheDirectory } from './paths.ts';

export const imagePrefix = 'localhost/flinkjob';
const podNetworkImage = `${imagePrefix}/pod-network:current`;
export const localPathProvisionerImage = `${imagePrefix}/local-path-provisioner:current`;
export const localPathHelperImage = `${imagePrefix}/local-path-helper:current`;
/** CoreDNS' tag in our images; kubeadm is told, as it would look for the version it was released with. */
export const coreDnsTag = (): string => versionOf('coredns', 'github.com/coredns/coredns');

export interface ClusterImages {
  /** All of them, as `docker save` writes them. */
  readonly archive: string;
  readonly pauseImage: string;
}

const programNames = [
  'kubernetes',
  'pause',
  'etcd',
  'coredns',
  'pod-network',
  'local-path-provisioner',
] as const satisfies readonly GoProgramName[];
type ProgramName = (typeof programNames)[number];

const timeoutMs = 10 * 60_000;
/** The four components that kubeadm runs from images; one file system for all of them, as they are one program. */
const kubernetesComponents = ['kube-apiserver', 'kube-controller-manager', 'kube-proxy', 'kube-scheduler'];

export async function buildClusterImages(): Promise<ClusterImages> {
  // At the same time: the one compiles, the other mostly waits for downloads and the disk.
  const [files, debian] = await Promise.all([buildPrograms(), debianOfNode()]);
  const names = await namesForKubeadm(files.kubernetes);
  const inputs = [JSON.stringify(files), JSON.stringify([...names]), debian, imagePrefix, 'v1'];
  const directory = await cachedDirectory({
    name: 'cluster-images',
    inputs,
    build: async (directory) => {
      const images: string[] = [];
      const image = async (name: string, tree: string, ...changes: readonly string[]): Promise<void> => {
        await importTree(tree, name, changes);
        rmSync(tree, { recursive: true });
        images.push(name);
      };
      const single = async (name: string, file: string, path: string): Promise<void> => {
        const tree = join(directory, 'tree');
        mkdirSync(join(tree, path, '..'), { recursive: true });
        copyFileSync(file, join(tree, path));
        await image(name, tree, `ENTRYPOINT ["${path}"]`, 'ENV PATH=/usr/local/bin:/usr/bin');
      };
      const kubernetes = await kubernetesTree(join(directory, 'tree'), { debian, program: files.kubernetes });
      const [first = '', ...others] = kubernetesComponents.map((component) => named(names, component));
      await image(first, kubernetes, 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
      for (const other of others) {
        await run('docker', ['tag', first, other]);
        images.push(other);
      }
      await single(named(names, 'etcd'), files.etcd, '/usr/local/bin/etcd');
      await single(named(names, 'coredns'), files.coredns, '/coredns');
      await single(named(names, 'pause'), files.pause, '/pause');
      await single(podNetworkImage, files['pod-network'], '/pod-network');
      await single(localPathProvisionerImage, files['local-path-provisioner'], '/usr/bin/local-path-provisioner');
      await image(localPathHelperImage, shellTree(join(directory, 'tree'), debian), 'ENV PATH=/bin', 'CMD ["/bin/sh"]');
      await run('docker', ['save', '-o', join(directory, 'images.tar'), ...images], { timeoutMs, progress: 'docker save' });
      // They live in the nodes from here on.
      await run('docker', ['image', 'rm', ...images], { timeoutMs });
    },
  });
  return { archive: join(directory, 'images.tar'), pauseImage: named(names, 'pause') };
}

/** One after another: each takes all processors, and gigabytes of memory. */
async function buildPrograms(): Promise<Record<ProgramName, string>> {
  const files: Partial<Record<ProgramName, string>> = {};
  for (const name of programNames) {
    files[name] = await buildGoProgram(name);
  }
  return files as Record<ProgramName, string>;
}

/** An image of one layer, without a builder: what is in it is a tree that lies here. */
export async function importTree(tree: string, name: string, changes: readonly string[]): Promise<void> {
  const script = 'set -o pipefail; tree=$1; shift; tar -C "$tree" -c . | docker import "$@"';
  const args = changes.flatMap((change) => ['--change', change]);
  await run('bash', ['-c', script, 'bash', tree, ...args, '-', name], { timeoutMs });
}

/** kubeadm itself says which names and versions it will look for. By the last part of the name. */
async function namesForKubeadm(kubernetes: string): Promise<ReadonlyMap<string, string>> {
  mkdirSync(cacheDirectory, { recursive: true });
  const directory = mkdtempSync(join(cacheDirectory, 'kubeadm-'));
  try {
    symlinkSync(kubernetes, join(directory, 'kubeadm'));
    const args = ['config', 'images', 'list', '--kubernetes-version', kubernetesVersion(), '--image-repository', imagePrefix];
    const lines = (await run(join(directory, 'kubeadm'), args)).trim().split('\n');
    const names = new Map(lines.map((line) => [line.replace(/^.*\//, '').replace(/:.*$/, ''), line]));
    return names.set('coredns', `${imagePrefix}/coredns:${coreDnsTag()}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function named(names: ReadonlyMap<string, string>, component: string): string {
  const name = names.get(component);
  if (name === undefined) {
    throw new KindError(`kubeadm names no image for ${component}, only ${[...names.keys()].join(', ')}`);
  }
  return name;
}

/** kube-proxy runs iptables and nft, and these load libraries, and plug-ins which load libraries: one that is missing and no Service works. */
async function kubernetesTree(tree: string, options: { readonly debian: string; readonly program: string }): Promise<string> {
  const { debian } = options;
  const programs = ['/usr/sbin/xtables-nft-multi', '/usr/sbin/nft', '/usr/sbin/conntrack'];
  const libraries = readdirSync(join(debian, 'usr/lib')).filter((name) => name.endsWith('-linux-gnu'));
  const plugins = libraries.flatMap((name) => {
    const directory = `/usr/lib/${name}/xtables`;
    return readdirSync(join(debian, directory)).map((file) => `${directory}/${file}`);
  });
  const linked = await run('chroot', [debian, 'ldd', ...programs, ...plugins.filter((file) => file.endsWith('.so'))]);
  const closure = Array.from(linked.matchAll(/^\s+(?:\S+ => )?(\/\S+) \(0x/gm), (match) => match[1] ?? '');
  const paths = [...programs, ...plugins, ...closure, '/etc/protocols'].map((path) => path.slice(1));
  mkdirSync(tree);
  // -h: the files themselves under the very names that were asked for, wherever Debian's links lead.
  await run('bash', [
    '-c',
    'set -o pipefail; debian=$1 tree=$2; shift 2; tar -C "$debian" -hc "$@" | tar -C "$tree" -x',
    'bash',
    debian,
    tree,
    ...paths,
  ]);
  for (const name of ['iptables', 'ip6tables'].flatMap((family) => [family, `${family}-save`, `${family}-restore`])) {
    symlinkSync('xtables-nft-multi', join(tree, 'usr/sbin', name));
  }
  mkdirSync(join(tree, 'usr/local/bin'), { recursive: true });
  mkdirSync(join(tree, 'run'));
  const program = join(tree, 'usr/local/bin/kubernetes');
  copyFileSync(options.program, program);
  for (const component of kubernetesComponents) {
    symlinkSync('kubernetes', join(tree, 'usr/local/bin', component));
  }
  // Here rather than in a cluster where nothing is reachable.
  await run('chroot', [tree, '/usr/sbin/iptables', '--version']);
  await run('chroot', [tree, '/usr/sbin/nft', '--version']);
  return tree;
}

/** For the pod that makes and removes the directory of a volume. */
function shellTree(tree: string, debian: string): string {
  mkdirSync(join(tree, 'bin'), { recursive: true });
  copyFileSync(join(debian, 'bin/busybox'), join(tree, 'bin/busybox'));
  for (const name of ['sh', 'mkdir', 'rm', 'chmod', 'ls', 'cat', 'du']) {
    linkSync(join(tree, 'bin/busybox'), join(tree, 'bin', name));
  }
  return tree;
}
