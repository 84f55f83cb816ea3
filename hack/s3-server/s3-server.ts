import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../.cache/s3-server/current/versitygw', import.meta.url));
const startDeadlineMs = 30_000;
const pollIntervalMs = 50;
/** Another process can take a port between finding it and using it. */
const startTryCountMax = 3;

/** For `skip` of a test: false when there is a server. */
export const whyNoS3Server: string | false =
  !existsSync(program) && 'the S3 server of the tests is not built (node hack/s3-server/build-s3-server.ts; it needs Go)';

/** Absolute paths of files in PEM. */
interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A real S3 server of one's own: on loopback, with a directory of its own, which outlives a stop and goes with the object. */
export class S3Server {
  readonly credentials = { accessKeyId: 'testing', secretAccessKey: 'testing-secret' };
  /** There from the start. */
  readonly bucket = 'checkpoints';
  readonly #directory = mkdtempSync(join(tmpdir(), 'flinkjob-s3-'));
  readonly #certificate: Certificate | undefined;
  #port = 0;
  #process: ChildProcess | undefined;
  readonly #killAtExit = (): void => {
    this.#process?.kill('SIGKILL');
  };

  private constructor(certificate: Certificate | undefined) {
    this.#certificate = certificate;
    mkdirSync(this.directoryOf(this.bucket), { recursive: true });
    process.on('exit', this.#killAtExit);
  }

  /** With a certificate it speaks TLS. */
  static async start(certificate?: Certificate): Promise<S3Server> {
    const server = new S3Server(certificate);
    for (let tries = 1; ; tries += 1) {
      server.#port = await freePort();
      try {
        await server.start();
        return server;
      } catch (error) {
        if (tries >= startTryCountMax) {
          await server[Symbol.asyncDispose]();
          throw error;
        }
      }
    }
  }

  get endpoint(): string {
    return `${this.#certificate === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** What a process needs in its environment to use it. */
  get environment(): Readonly<Record<string, string>> {
    return {
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_ACCESS_KEY_ID: this.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.credentials.secretAccessKey,
      AWS_REGION: 'us-east-1',
    };
  }

  /** Objects are files below it, under their keys. */
  directoryOf(bucket: string): string {
    return join(this.#directory, 'buckets', bucket);
  }

  emptyBucket(): void {
    rmSync(this.directoryOf(this.bucket), { recursive: true });
    mkdirSync(this.directoryOf(this.bucket));
  }

  /** Also after a stop, on the same port with the same objects. */
  async start(): Promise<void> {
    const certificate = this.#certificate;
    const tls = certificate === undefined ? [] : ['--cert', certificate.certificateFile, '--key', certificate.keyFile];
    const args = ['--port', `127.0.0.1:${this.#port}`, ...tls, '--quiet', 'posix', join(this.#directory, 'buckets')];
    const child = spawn(program, args, {
      env: {
        ...process.env,
        ROOT_ACCESS_KEY: this.credentials.accessKeyId,
        ROOT_SECRET_KEY: this.credentials.secretAccessKey,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-2_000);
    });
    const deadline = performance.now() + startDeadlineMs;
    while (!(await listens(this.#port))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`the S3 server does not start: ${said}`);
      }
      await delay(pollIntervalMs);
    }
  }

  /** At once, as when its machine fails: what it acknowledged is on its disk. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => {
        child.once('exit', resolve);
      });
      child.kill('SIGKILL');
      await ended;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    process.off('exit', this.#killAtExit);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
