/**
 * The programs that a cluster consists of, built from Go modules; each pinned by version and content by the `go.mod` and `go.sum` of its folder in
 * `modules/`. One module per program, so that none decides the versions of another's parts. All come out static.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { cachedDirectory, filesOf } from './cache.ts';
import { attempt, KindError, run } from './command.ts';
import { binDirectory, kindDirectory } from './paths.ts';

interface GoProgram {
  readonly module: string;
  readonly package: string;
  readonly tags?: string;
  readonly linkFlags?: () => string;
}

const programs = {
  kubernetes: {
    module: 'kubernetes',
    package: './kubernetes',
    tags: 'selinux,notest,grpcnotrace',
    linkFlags: kubernetesVersionFlags,
  },
  pause: { module: 'kubernetes', package: './pause' },
  'pod-network': { module: 'kubernetes', package: './pod-network' },
  etcd: { module: 'etcd', package: 'go.etcd.io/etcd/server/v3' },
  coredns: { module: 'coredns', package: '.' },
  'local-path-provisioner': { module: 'storage', package: 'github.com/rancher/local-path-provisioner' },
  kind: { module: 'kind', package: 'sigs.k8s.io/kind' },
} as const satisfies Record<string, GoProgram>;

export type GoProgramName = keyof typeof programs;

/** Kubernetes alone is eleven minutes of one processor; shared with others, it was 35 by the clock. */
const buildTimeoutMs = 80 * 60_000;
const downloadTimeoutMs = 20 * 60_000;

/** Gives the program's file; builds it unless it is there. Throws `KindError`. */
export async function buildGoProgram(name: GoProgramName): Promise<string> {
  const program: GoProgram = programs[name];
  const directory = moduleDirectory(program.module);
  const flags = ['-mod=readonly', '-buildvcs=false', '-trimpath', `-ldflags=-s -w ${program.linkFlags?.() ?? ''}`.trim()];
  if (program.tags !== undefined) {
    flags.push('-tags', program.tags);
  }
  const built = await cachedDirectory({
    name,
    inputs: [JSON.stringify([flags, program, process.platform, process.arch]), ...filesOf(directory)],
    build: async (output) => {
      await expectGo();
      await run('go', ['build', ...flags, '-o', join(output, name), program.package], {
        cwd: directory,
        env: goEnvironment,
        timeoutMs: buildTimeoutMs,
        progress: `compiling ${name}`,
      });
    },
  });
  return join(built, name);
}

/** Where the source of a module that `module` pins lies; some of it is more than Go: kind's node has its start-up scripts there. */
export async function sourceOf(module: string, path: string): Promise<string> {
  const cwd = moduleDirectory(module);
  await expectGo();
  await run('go', ['mod', 'download', path], {
    cwd,
    env: goEnvironment,
    timeoutMs: downloadTimeoutMs,
    progress: `downloading ${path}`,
  });
  return (await run('go', ['list', '-m', '-f', '{{.Dir}}', path], { cwd, env: goEnvironment })).trim();
}

/** As `go.mod` in `modules/<module>` pins it. */
export function versionOf(module: string, path: string): string {
  const text = readFileSync(join(moduleDirectory(module), 'go.mod'), 'utf8');
  const version = text
    .split('\n')
    .map((line) =>
      line
        .replace(/^require/, '')
        .trim()
        .split(' '),
    )
    .find(([name, second]) => name === path && second?.startsWith('v'))?.[1];
  if (version === undefined) {
    throw new KindError(`hack/kind/modules/${module}/go.mod requires no ${path}`);
  }
  return version;
}

export const kubernetesVersion = (): string => versionOf('kubernetes', 'k8s.io/kubernetes');

/** A link `name` in `.cache/kind/bin`, in one step: whoever starts the program meanwhile finds the one or the other. */
export function putIntoBin(name: string, file: string): void {
  mkdirSync(binDirectory, { recursive: true });
  const temporary = join(binDirectory, `${name}-${process.pid}`);
  rmSync(temporary, { force: true });
  symlinkSync(relative(binDirectory, file), temporary);
  renameSync(temporary, join(binDirectory, name));
}

const goEnvironment = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' } as const;

function moduleDirectory(module: string): string {
  return join(kindDirectory, 'modules', module);
}

/** Without them the binaries say v0.0.0, and kubeadm compares versions. A fixed date: the result must depend on the sources alone. */
function kubernetesVersionFlags(): string {
  const version = kubernetesVersion();
  const [major, minor] = version.slice(1).split('.');
  const values = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: 'module',
    gitTreeState: 'clean',
    buildDate: '2026-02-10T00:00:00Z',
  };
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .flatMap((path) => Object.entries(values).map(([key, value]) => `-X ${path}.${key}=${value}`))
    .join(' ');
}

async function expectGo(): Promise<void> {
  const { code } = await attempt('go', ['version']);
  if (code !== 0) {
    throw new KindError('not installed: go, 1.26 or newer (Debian 12 has an older one): https://go.dev/dl');
  }
}
