/**
 * The image that kind's nodes are containers of: the node's file system, Kubernetes' binaries, and the cluster's images in containerd's store, so that
 * a cluster starts without asking any registry. What `kind build node-image` does, without what that pulls.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digest, filesOf } from './cache.ts';
import {
  buildClusterImages,
  type ClusterImages,
  importTree,
  localPathHelperImage,
  localPathProvisionerImage,
} from './cluster-images.ts';
import { attempt, KindError, run, say, stage } from './command.ts';
import { buildGoProgram, kubernetesVersion, sourceOf } from './go-programs.ts';
import { nodeRoot } from './node-root.ts';
import { cacheDirectory, kindDirectory } from './paths.ts';

const repository = 'flinkjob/kind-node';
const builder = 'flinkjob-kind-node-builder';
const timeoutMs = 10 * 60_000;
const containerdTimeoutMs = 60_000;

/** Gives the name of the image; makes it unless the engine has it. Needs a Docker engine. Throws `KindError`. */
export async function ensureNodeImage(): Promise<string> {
  const images = await buildClusterImages();
  const kubernetes = await buildGoProgram('kubernetes');
  const root = await nodeRoot({ pauseImage: images.pauseImage });
  const inputs = [
    kubernetes,
    images.archive,
    root,
    readFileSync(import.meta.filename),
    ...filesOf(join(kindDirectory, 'node-files')),
  ];
  const name = `${repository}:${kubernetesVersion()}-${digest(inputs)}`;
  if ((await attempt('docker', ['image', 'inspect', name])).code !== 0) {
    await stage('node-image', () => makeNodeImage(name, { kubernetes, images, root }));
    await removeOlderImages(name);
  }
  return name;
}

interface NodeParts {
  readonly kubernetes: string;
  readonly images: ClusterImages;
  readonly root: string;
}

async function makeNodeImage(name: string, parts: NodeParts): Promise<void> {
  const base = `${repository}-root:current`;
  await importTree(parts.root, base, ['ENV container=docker']);
  // What an interrupted run left.
  await attempt('docker', ['rm', '-f', builder]);
  const scratch = mkdtempSync(join(cacheDirectory, 'node-image-'));
  try {
    // The signal by which systemd stops orderly. Set here, as neither an import nor a commit takes it.
    const settings = ['--privileged', '--stop-signal', 'SIGRTMIN+3', '--entrypoint', 'sleep'];
    await run('docker', ['run', '-d', '--name', builder, ...settings, base, 'infinity'], { timeoutMs });
    await run('docker', ['cp', parts.kubernetes, `${builder}:/usr/bin/kubernetes`], { timeoutMs });
    await inBuilder('for name in kubelet kubeadm kubectl; do ln -s kubernetes /usr/bin/$name; done');
    await addFile(scratch, '/kind/version', kubernetesVersion());
    await addFile(
      scratch,
      '/kind/manifests/default-cni.yaml',
      readFileSync(join(kindDirectory, 'node-files', 'default-cni.yaml'), 'utf8'),
    );
    await addFile(scratch, '/kind/manifests/default-storage.yaml', await storageManifest());
    await importImages(parts.images.archive);
    const changes = ['--change', 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', '--change', 'CMD []'];
    await run('docker', ['commit', ...changes, builder, name], { timeoutMs, progress: 'docker commit' });
  } finally {
    await attempt('docker', ['rm', '-f', builder]);
    rmSync(scratch, { recursive: true });
  }
}

async function importImages(archive: string): Promise<void> {
  await run('docker', ['exec', '-d', builder, 'containerd', '--log-level', 'error']);
  const deadline = performance.now() + containerdTimeoutMs;
  while ((await attempt('docker', ['exec', builder, 'ctr', 'version'])).code !== 0) {
    if (performance.now() > deadline) {
      throw new KindError(
        `containerd does not start in the node's image: docker run --rm -it --privileged --entrypoint containerd ${repository}-root:current`,
      );
    }
    await sleep(300);
  }
  // Not unpacked: an overlay on an overlay cannot be made here, and the node does it at its start.
  const args = ['--namespace', 'k8s.io', 'images', 'import', '--all-platforms', '--no-unpack', '--digests', '-'];
  await run('docker', ['exec', '-i', builder, 'ctr', ...args], {
    inputFile: archive,
    timeoutMs,
    progress: 'importing the images',
  });
  await inBuilder('pkill -x containerd; while pgrep -x containerd >/dev/null; do sleep 0.1; done; rm -rf /run/containerd');
}

async function inBuilder(script: string): Promise<void> {
  await run('docker', ['exec', builder, 'sh', '-euc', script]);
}

async function addFile(scratch: string, path: string, text: string): Promise<void> {
  const file = join(scratch, 'file');
  writeFileSync(file, text);
  await run('docker', ['cp', file, `${builder}:${path}`]);
}

/** kind's own, out of its source, with images that are there. */
async function storageManifest(): Promise<string> {
  const file = join(await sourceOf('kind', 'sigs.k8s.io/kind'), 'pkg/build/nodeimage/const_storage.go');
  const literal = /defaultStorageManifest = `([\s\S]*)`\n/.exec(readFileSync(file, 'utf8'))?.[1];
  const manifest = literal
    ?.replaceAll('` + storageProvisionerImage + `', localPathProvisionerImage)
    .replaceAll('` + storageHelperImage + `', localPathHelperImage);
  if (manifest === undefined || manifest.includes('`') || !manifest.includes(localPathHelperImage)) {
    throw new KindError(
      `${file} does not hold the storage manifest as node-image.ts expects it: it was written for another version of kind`,
    );
  }
  return manifest;
}

/** One that a cluster still runs on stays; the engine refuses to remove it. */
async function removeOlderImages(current: string): Promise<void> {
  const names = (await run('docker', ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', repository])).trim().split('\n');
  for (const name of names.filter((name) => name !== current && name !== '')) {
    const { code } = await attempt('docker', ['image', 'rm', name], { timeoutMs });
    say(code === 0 ? `removed ${name}` : `${name} stays: a cluster runs on it`);
  }
}
