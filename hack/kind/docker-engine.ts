/**
 * A Docker engine to build images with and to run kind's nodes in: the one that answers already, or one of our own, started here.
 *
 *   node hack/kind/docker-engine.ts           starts one if none answers
 *   node hack/kind/docker-engine.ts stop      stops the one that this started, and only that
 *
 * Afterwards a plain `docker` finds it, as it listens where `docker` looks. Debian's engine has no buildx: build with `DOCKER_BUILDKIT=0`
 * (`dockerEnvironment`).
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, KindError, say } from './command.ts';
import { ensureCommands } from './debian-packages.ts';
import { cacheDirectory, kindDirectory } from './paths.ts';

/** For `docker build`: the classic builder, which needs no plugin and asks no registry when every base image is local. */
export const dockerEnvironment = { DOCKER_BUILDKIT: '0' } as const;

/** Images, containers and volumes. Beside the checkout's other build results, so that removing the checkout removes it. */
const dataRoot = join(cacheDirectory, 'docker');
const pidFile = join(cacheDirectory, 'dockerd.pid');
const logFile = join(cacheDirectory, 'dockerd.log');
const startTimeoutMs = 60_000;
/** It first stops its containers, ten seconds each at most, at the same time. */
const stopTimeoutMs = 60_000;
const capSysResource = 24n;

/** Does nothing when an engine answers. Throws `KindError`. */
export async function ensureDockerEngine(): Promise<void> {
  await ensureCommands({ docker: 'docker.io' });
  if (await isAnswering()) {
    return;
  }
  if (process.env['DOCKER_HOST'] !== undefined) {
    throw new KindError(
      `no Docker engine answers at DOCKER_HOST=${process.env['DOCKER_HOST']}; unset it to have one started here`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new KindError('no Docker engine answers, and starting one needs root: start Docker, or run this as root');
  }
  await ensureCommands({ dockerd: 'docker.io', runc: 'runc', containerd: 'containerd', iptables: 'iptables', jq: 'jq' });
  await start();
}

/** Gives false when no engine of ours runs. */
export async function stopDockerEngine(): Promise<boolean> {
  const pid = ownPid();
  if (pid === undefined) {
    return false;
  }
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + stopTimeoutMs;
  while (ownPid() !== undefined) {
    if (performance.now() > deadline) {
      throw new KindError(`the Docker engine (pid ${pid}) did not stop within ${stopTimeoutMs / 1_000} s; see ${logFile}`);
    }
    await sleep(200);
  }
  return true;
}

async function start(): Promise<void> {
  mkdirSync(dataRoot, { recursive: true });
  if (ownPid() === undefined) {
    // One that was killed leaves its file, and dockerd refuses to start when that number is in use by anything.
    rmSync(pidFile, { force: true });
    say(`no Docker engine answers: starting one, with its data in ${dataRoot}`);
    const log = openSync(logFile, 'a');
    const args = ['--data-root', dataRoot, '--pidfile', pidFile, ...runtimeArguments()];
    const child = spawn('dockerd', args, { detached: true, stdio: ['ignore', log, log] });
    child.on('error', (error) => say(`dockerd: ${error.message}`));
    child.unref();
    closeSync(log);
  }
  const deadline = performance.now() + startTimeoutMs;
  while (!(await isAnswering())) {
    if (performance.now() > deadline) {
      throw new KindError(
        `the Docker engine did not answer within ${startTimeoutMs / 1_000} s. The end of ${logFile}:\n${lastLines(logFile)}`,
      );
    }
    await sleep(300);
  }
}

/** Without the capability, every privileged container, and so every node, would fail to start: see the script. */
function runtimeArguments(): readonly string[] {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (bounding === undefined || ((BigInt(`0x${bounding}`) >> capSysResource) & 1n) === 1n) {
    return [];
  }
  say('root here lacks CAP_SYS_RESOURCE: containers run without it');
  const script = join(kindDirectory, 'runc-without-sys-resource.sh');
  return ['--add-runtime', `reduced=${script}`, '--default-runtime', 'reduced'];
}

async function isAnswering(): Promise<boolean> {
  const { code } = await attempt('docker', ['version', '--format', '{{.Server.Version}}'], { timeoutMs: 10_000 });
  return code === 0;
}

/** Of the engine that this started, while it runs: a file may outlive its process, and the number be another's by then. */
function ownPid(): number | undefined {
  if (!existsSync(pidFile)) {
    return undefined;
  }
  const pid = Number(readFileSync(pidFile, 'utf8'));
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return args.includes(dataRoot) ? pid : undefined;
  } catch {
    return undefined;
  }
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}

if (import.meta.main) {
  try {
    if (process.argv[2] === 'stop') {
      say((await stopDockerEngine()) ? 'the Docker engine is stopped' : 'no Docker engine was started from here');
    } else {
      await ensureDockerEngine();
      say('a Docker engine answers');
    }
  } catch (error) {
    if (!(error instanceof KindError)) {
      throw error;
    }
    console.error(error.message);
    process.exitCode = 1;
  }
}
