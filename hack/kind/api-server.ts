/**
 * A real Kubernetes API without a cluster: etcd and kube-apiserver on loopback, in a directory of their own, up in seconds. No nodes, no controllers:
 * pods stay Pending, nothing is garbage collected, no ServiceAccount appears by itself. For tests of what is said to the API and how it answers.
 *
 *   await using server = await startApiServer();
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KindError } from './command.ts';
import { buildGoProgram, putIntoBin } from './go-programs.ts';
import { binDirectory } from './paths.ts';

export interface ApiServer extends AsyncDisposable {
  readonly url: string;
  /** PEM; the server signs for itself. */
  readonly certificateAuthority: string;
  /** Of an administrator. For anybody else, impersonate: RBAC is on. */
  readonly token: string;
  /** All of the above, for `KUBECONFIG`. */
  readonly kubeconfigFile: string;
  /** As when its machine dies: no connection is closed orderly. etcd stays, and with it everything that was acknowledged. */
  kill(): Promise<void>;
  /** The API server again, at the same address and with the same certificate; kills it first if it runs. Until it is ready. */
  restart(): Promise<void>;
  /** Forgets every revision but the last: after a restart a watch from an earlier one is answered with 410. */
  compact(): Promise<void>;
  /** Ends both and removes what they wrote. */
  stop(): Promise<void>;
}

const startTimeoutMs = 120_000;
const requestTimeoutMs = 5_000;
const pollIntervalMs = 50;

/** kubectl, kube-apiserver and etcd into `.cache/kind/bin`, built if they are not there. */
export async function buildApiServerPrograms(): Promise<void> {
  const kubernetes = await buildGoProgram('kubernetes');
  putIntoBin('kubectl', kubernetes);
  putIntoBin('kube-apiserver', kubernetes);
  putIntoBin('etcd', await buildGoProgram('etcd'));
}

/** Needs what `npm run kind:up` or `npm run test:api` has built. Throws `KindError`. */
export async function startApiServer(): Promise<ApiServer> {
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-api-server-'));
  const processes: Process[] = [];
  try {
    const [etcdPort, etcdPeerPort, port] = (await freePorts(3)) as [number, number, number];
    const etcd = new Process('etcd', directory, etcdArguments({ directory, port: etcdPort, peerPort: etcdPeerPort }));
    processes.unshift(etcd);
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    await etcd.start(async () => (await fetch(`${etcdUrl}/health`, { signal: AbortSignal.timeout(requestTimeoutMs) })).ok);

    const token = randomBytes(24).toString('hex');
    writeFileSync(join(directory, 'tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(directory, 'service-accounts.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
    const server = new Process('kube-apiserver', directory, apiServerArguments({ directory, port, etcdUrl }));
    processes.unshift(server);
    const url = `https://127.0.0.1:${port}`;
    const certificateFile = join(directory, 'certificates', 'apiserver.crt');
    const isReady = (): Promise<boolean> => isReadyAt({ url, token, certificateFile });
    await server.start(isReady);

    const certificateAuthority = readFileSync(certificateFile, 'utf8');
    const kubeconfigFile = join(directory, 'kubeconfig');
    writeFileSync(kubeconfigFile, kubeconfig({ url, certificateAuthority, token }), { mode: 0o600 });
    const stop = (): Promise<void> => endAll(processes, directory);
    return {
      url,
      certificateAuthority,
      token,
      kubeconfigFile,
      kill: () => server.end('SIGKILL'),
      restart: async () => {
        await server.end('SIGKILL');
        await server.start(isReady);
      },
      compact: () => compactAll(etcdUrl),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await endAll(processes, directory);
    throw error;
  }
}

/** One of the two, with its log in the directory. */
class Process {
  readonly #name: string;
  readonly #args: readonly string[];
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, directory: string, args: readonly string[]) {
    this.#name = name;
    this.#args = args;
    this.#logFile = join(directory, `${name}.log`);
  }

  /** Until `isReady` gives true; that it throws means not yet. */
  async start(isReady: () => Promise<boolean>): Promise<void> {
    const program = join(binDirectory, this.#name);
    if (!existsSync(program)) {
      throw new KindError(`${program} is not there; \`npm run test:api\` builds it`);
    }
    const log = openSync(this.#logFile, 'a');
    const child = spawn(program, this.#args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.on('error', () => resolve());
      child.on('exit', () => resolve());
    });
    const deadline = performance.now() + startTimeoutMs;
    while (!(await isReady().catch(() => false))) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new KindError(
          `${this.#name} ended (${child.signalCode ?? child.exitCode}) before it was ready:\n${this.#lastWords()}`,
        );
      }
      if (performance.now() > deadline) {
        throw new KindError(`${this.#name} was not ready within ${startTimeoutMs / 1_000} s:\n${this.#lastWords()}`);
      }
      await sleep(pollIntervalMs);
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child?.kill(signal);
    await this.#ended;
  }

  #lastWords(): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
  }
}

/** Nothing that they hold is worth an orderly end, which takes an API server with open watches a minute. */
async function endAll(processes: readonly Process[], directory: string): Promise<void> {
  for (const process of processes) {
    await process.end('SIGKILL');
  }
  rmSync(directory, { recursive: true, force: true });
}

function etcdArguments(options: {
  readonly directory: string;
  readonly port: number;
  readonly peerPort: number;
}): readonly string[] {
  const client = `http://127.0.0.1:${options.port}`;
  const peer = `http://127.0.0.1:${options.peerPort}`;
  return [
    `--data-dir=${join(options.directory, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // It outlives no power failure, which no test here makes.
    '--unsafe-no-fsync',
  ];
}

function apiServerArguments(options: {
  readonly directory: string;
  readonly port: number;
  readonly etcdUrl: string;
}): readonly string[] {
  const key = join(options.directory, 'service-accounts.key');
  return [
    `--etcd-servers=${options.etcdUrl}`,
    `--secure-port=${options.port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--cert-dir=${join(options.directory, 'certificates')}`,
    `--token-auth-file=${join(options.directory, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/12',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    // It refuses pods whose account is not there, and the controller that makes `default` in each namespace does not run.
    '--disable-admission-plugins=ServiceAccount',
    // A client that asks without credentials has a fault, which must show.
    '--anonymous-auth=false',
  ];
}

async function isReadyAt(options: {
  readonly url: string;
  readonly token: string;
  readonly certificateFile: string;
}): Promise<boolean> {
  const ca = readFileSync(options.certificateFile);
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${options.token}` };
    const request = get(`${options.url}/readyz`, { ca, headers, agent: false, timeout: requestTimeoutMs }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

async function compactAll(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: object): Promise<{ header: { revision: string } }> => {
    const response = await fetch(`${etcdUrl}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    if (!response.ok) {
      throw new KindError(`etcd answered ${response.status} to ${path}: ${await response.text()}`);
    }
    return (await response.json()) as { header: { revision: string } };
  };
  // Any read tells the revision; this key is never there.
  const { header } = await post('/v3/kv/range', { key: Buffer.from('\0').toString('base64') });
  await post('/v3/kv/compaction', { revision: header.revision, physical: true });
}

/** JSON is YAML. */
function kubeconfig(options: { readonly url: string; readonly certificateAuthority: string; readonly token: string }): string {
  const name = 'api-server';
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: {
          server: options.url,
          'certificate-authority-data': Buffer.from(options.certificateAuthority).toString('base64'),
        },
      },
    ],
    users: [{ name, user: { token: options.token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

/** All held open until each is known, so that they differ. Somebody else may take one before it is used; the process then says so and ends. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
