import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serviceAccountDirectory } from '../../../operator/src/kubernetes/in-cluster-access.ts';
import { layOutBuildContext, ownImages } from '../../images/build-context.ts';
import type { ApiServer } from '../../kind/api-server.ts';
import { ManagedProcess } from '../processes/managed-process.ts';
import { waitUntil } from '../throughput/wait-until.ts';

const main = fileURLToPath(new URL('../../../operator/src/main.ts', import.meta.url));
const leadTimeoutMs = 120_000;
/**
 * The old generation as Node chooses it under the memory limit of the chart, 512 MiB, and what the image says of the young one. Without a limit both would rather grow
 * than be cleaned up.
 */
const nodeOptions = ['--max-old-space-size=256', ...optionsOfImage()];

/** How an operator is started here. */
export interface OperatorProgram {
  readonly command: string;
  /** Before those of the operator. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

function optionsOfImage(): readonly string[] {
  const script = readFileSync(new URL('../../../images/operator/flinkjob-operator', import.meta.url), 'utf8');
  const options = /^exec \S*\/node (.*)\/opt\/flinkjob\/operator\/src\/main\.js "\$@"$/m.exec(script)?.[1];
  if (options === undefined) {
    throw new Error('images/operator/flinkjob-operator starts no Node');
  }
  return options.split(' ').filter((option) => option !== '');
}

/** From this checkout, for whoever has the kubeconfig: each process then holds a compiler, and the client library that reads kubeconfigs. */
export function operatorSources({ kubeconfigFile }: ApiServer): OperatorProgram {
  return { command: process.execPath, args: [...nodeOptions, main, `--kubeconfig=${kubeconfigFile}`], environment: {} };
}

/** As a pod starts it: compiled, with the packages of production alone, and the service account where a kubelet mounts it, in a mount namespace of its own. */
export async function operatorOfImage(
  { url, token, certificateAuthority }: ApiServer,
  directory: string,
): Promise<OperatorProgram> {
  const mounted = join(directory, 'service-account');
  mkdirSync(mounted);
  writeFileSync(join(mounted, 'token'), token, { mode: 0o600 });
  writeFileSync(join(mounted, 'ca.crt'), certificateAuthority);
  writeFileSync(join(mounted, 'namespace'), 'default');
  const { hostname, port } = new URL(url);
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const mount = 'mount -t tmpfs tmpfs /var/run && mkdir -p "$1" && cp "$0"/* "$1" && shift && exec "$@"';
  return {
    command: 'unshare',
    args: [
      ...['--mount', ...asRoot, 'sh', '-c', mount, mounted, serviceAccountDirectory],
      ...[process.execPath, ...nodeOptions, await buildOperator(directory)],
    ],
    environment: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
  };
}

/** Takes some seconds. */
async function buildOperator(directory: string): Promise<string> {
  const image = ownImages.find(({ name }) => name === 'operator');
  if (image === undefined) {
    throw new Error('there is no image of the operator');
  }
  const context = join(directory, 'image');
  mkdirSync(context);
  await layOutBuildContext(image, context);
  return join(context, 'program', 'operator', 'src', 'main.js');
}

/** One replica of the operator as a pod would start it, seen by its log and its metrics. */
export class OperatorReplica implements AsyncDisposable {
  readonly process: ManagedProcess;
  readonly #logPath: string;

  private constructor(process: ManagedProcess, logPath: string) {
    this.process = process;
    this.#logPath = logPath;
  }

  static async start(options: {
    readonly name: string;
    readonly program: OperatorProgram;
    readonly directory: string;
    /** Another lease than usual. */
    readonly leaseSeconds?: number | undefined;
  }): Promise<OperatorReplica> {
    const { name, program, directory, leaseSeconds } = options;
    const logPath = join(directory, `${name}.log`);
    const process_ = await ManagedProcess.start({
      ...{ name, command: program.command, logPath },
      args: [
        ...program.args,
        ...['--platform=kubernetes', '--lease-namespace=default', '--cluster-id=bench', '--http-address=127.0.0.1:0'],
        ...(leaseSeconds === undefined ? [] : [`--lease-duration-seconds=${leaseSeconds}`]),
      ],
      environment: { ...process.env, ...program.environment, POD_NAME: name },
    });
    return new OperatorReplica(process_, logPath);
  }

  async said(message: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    return waitUntil({
      what: `"${message}" in ${this.#logPath}`,
      ...{ timeoutMs: leadTimeoutMs, intervalMs: 10, signal },
      look: async () => {
        this.process.assertAlive();
        return this.#lines().find(({ msg }) => msg === message);
      },
    });
  }

  leads(signal: AbortSignal): Promise<unknown> {
    return this.said('this process leads now', signal);
  }

  /** Sum of a counter over all its labels but those of requests that were not answered. */
  async counter(name: string, signal: AbortSignal): Promise<number> {
    const { port } = await this.said('probes and metrics are served', signal);
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { signal })).text();
    const values = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }

  #lines(): readonly Readonly<Record<string, unknown>>[] {
    return readFileSync(this.#logPath, 'utf8')
      .split('\n')
      .flatMap((line) => {
        try {
          return [JSON.parse(line) as Readonly<Record<string, unknown>>];
        } catch {
          // Half a line, or the warning of a library.
          return [];
        }
      });
  }
}
