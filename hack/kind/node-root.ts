/**
 * The root file system of a node: what kind's own `images/base/Dockerfile` makes, from Debian packages where that compiles from source, and with
 * kind's files as its module holds them.
 */
import { appendFileSync, chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachedDirectory, filesOf } from './cache.ts';
import { KindError, run } from './command.ts';
import { sourceOf, versionOf } from './go-programs.ts';
import { kindDirectory } from './paths.ts';
import { debianRelease, makeRootFileSystem } from './root-file-system.ts';

/** `busybox-static` and the last of the second line are for images of the cluster, which are cut from here. */
const packages = [
  ...[
    'systemd',
    'dbus',
    'containerd',
    'runc',
    'containernetworking-plugins',
    'iproute2',
    'ethtool',
    'socat',
    'kmod',
    'e2fsprogs',
    'libseccomp2',
  ],
  ...['ca-certificates', 'curl', 'jq', 'procps', 'busybox-static', 'conntrack', 'iptables', 'nftables'],
];

/** The directory of the plain Debian with the node's packages. */
export async function debianOfNode(): Promise<string> {
  const directory = await cachedDirectory({
    name: 'node-debian',
    inputs: [debianRelease, ...packages],
    build: (directory) => makeRootFileSystem(join(directory, 'root'), packages),
  });
  return join(directory, 'root');
}

/** The directory of the node's file system, without what a version of Kubernetes decides. */
export async function nodeRoot(options: { readonly pauseImage: string }): Promise<string> {
  const debian = await debianOfNode();
  const directory = await cachedDirectory({
    name: 'node-root',
    inputs: [
      debian,
      options.pauseImage,
      versionOf('kind', 'sigs.k8s.io/kind'),
      readFileSync(import.meta.filename),
      ...filesOf(join(kindDirectory, 'node-files')),
    ],
    build: async (directory) => {
      const root = join(directory, 'root');
      // Not with Node's own copy: it knows no device files and no owners.
      await run('cp', ['-a', debian, root], { timeoutMs: copyTimeoutMs });
      const files = join(await sourceOf('kind', 'sigs.k8s.io/kind'), 'images/base/files');
      installFilesOfKind(root, files);
      configureContainerd(root, join(files, 'etc/containerd/config.toml'), options.pauseImage);
      await configureSystemd(root);
      await writeContainerTemplate(root);
    },
  });
  return join(directory, 'root');
}

const copyTimeoutMs = 5 * 60_000;

function installFilesOfKind(root: string, files: string): void {
  const copies = [
    { name: 'usr/local/bin/entrypoint', mode: 0o755 },
    ...['create-kubelet-cgroup-v2.sh', 'mount-product-files.sh', 'undo-mount-hacks.sh'].map((name) => ({
      name: `kind/bin/${name}`,
      mode: 0o755,
    })),
    ...[
      'etc/crictl.yaml',
      'etc/default/kubelet',
      'etc/sysctl.d/10-network-magic.conf',
      'etc/sysctl.d/10-network-security.conf',
    ].map(plain),
    ...['containerd.service', 'kubelet.service', 'kubelet.slice', 'undo-mount-hacks.service'].map((name) =>
      plain(`etc/systemd/system/${name}`),
    ),
    ...['10-kubeadm.conf', '11-kind.conf'].map((name) => plain(`etc/systemd/system/kubelet.service.d/${name}`)),
  ];
  for (const { name, mode } of copies) {
    install(join(files, name), join(root, name), mode);
  }
  install(join(kindDirectory, 'node-files', 'crictl'), join(root, 'usr/local/bin/crictl'), 0o755);
  for (const name of ['kind/manifests', 'etc/kubernetes/manifests', 'etc/cni/net.d', 'var/lib/kubelet', 'opt/cni']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  // Where kind's units and configuration expect what Debian puts elsewhere.
  symlinkSync('/usr/bin/containerd', join(root, 'usr/local/bin/containerd'));
  symlinkSync('/usr/lib/cni', join(root, 'opt/cni/bin'));
}

const plain = (name: string): { name: string; mode: number } => ({ name, mode: 0o644 });

function install(from: string, to: string, mode: number): void {
  mkdirSync(join(to, '..'), { recursive: true });
  cpSync(from, to);
  chmodSync(to, mode);
}

function configureContainerd(root: string, source: string, pauseImage: string): void {
  let text = readFileSync(source, 'utf8');
  const replace = (what: RegExp, by: string): void => {
    if (!what.test(text)) {
      throw new KindError(`kind's containerd configuration has no ${what}: node-root.ts was written for another version of kind`);
    }
    text = text.replace(what, by);
  };
  replace(/sandbox_image = ".*"/, `sandbox_image = "${pauseImage}"`);
  // Static pods ask for a lower score than their parent's, which takes CAP_SYS_RESOURCE; so the clamped one will do where it is missing.
  replace(/restrict_oom_score_adj = false/, 'restrict_oom_score_adj = true');
  // The snapshotter of rootless engines, which is not in this image.
  replace(/\[proxy_plugins\][\s\S]*?\n\n/, '');
  const file = join(root, 'etc/containerd/config.toml');
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
}

/** A node starts containerd and kubelet and nothing of what Debian would start on a machine: no udev, no console, no mounts. */
async function configureSystemd(root: string): Promise<void> {
  const unwanted = [
    'lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service',
    'lib/systemd/system/multi-user.target.wants/*',
    'lib/systemd/system/local-fs.target.wants/*',
    'lib/systemd/system/basic.target.wants/*',
    'lib/systemd/system/sockets.target.wants/*udev*',
    'lib/systemd/system/sockets.target.wants/*initctl*',
    'etc/systemd/system/*.wants/*',
  ];
  await run('sh', ['-c', `rm -f ${unwanted.join(' ')}`], { cwd: root });
  // The kernel's messages are the machine's, not the node's.
  appendFileSync(join(root, 'etc/systemd/journald.conf'), 'ReadKMsg=no\n');
  rmSync(join(root, 'sbin/init'), { force: true });
  symlinkSync('/usr/lib/systemd/systemd', join(root, 'sbin/init'));
  await run('chroot', [root, 'systemctl', 'enable', 'kubelet.service', 'containerd.service', 'undo-mount-hacks.service']);
  await run('chroot', [root, 'systemctl', 'mask', 'systemd-binfmt.service']);
}

/** What every container of a pod starts from: containerd's own, with kind's hook that hides the machine's serial number, without resource limits. */
async function writeContainerTemplate(root: string): Promise<void> {
  const template = JSON.parse(await run('chroot', [root, 'ctr', 'oci', 'spec']));
  delete template.process.rlimits;
  template.hooks = { ...template.hooks, createContainer: [{ path: '/kind/bin/mount-product-files.sh' }] };
  writeFileSync(join(root, 'etc/containerd/cri-base.json'), JSON.stringify(template));
}
