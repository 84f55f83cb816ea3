import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { state, t } from '@flinkjob/runtime';
import { openSnapshot, readState } from '@flinkjob/runtime/state-reader';
import { Random } from '../../operator/test/fakes/random.ts';
import { FaultyProxy } from '../../runtime/test/fakes/faulty-proxy.ts';
import { GeneratedValues } from '../bench/jobs/generated-values.ts';
import { largeStateSizes } from '../bench/jobs/large-state-records.ts';
import { S3Server } from '../s3-server/s3-server.ts';
import { endFileName, filledFileName, type JudgedOutput, judgeOutput, stopFileName } from './exact-output.ts';
import { FaultCluster } from './fault-cluster.ts';

const mebibyte = 1024 * 1024;
const valueSizeBytesMean = (largeStateSizes.sizeBytesMin + largeStateSizes.sizeBytesMax) / 2;
/** The JobManager deletes within moments of the end what it condemned last. */
const cleanTimeoutMs = 60_000;
const cleanCheckIntervalMs = 500;

/** What is the same for all scenarios of a run. */
export interface FaultSettings {
  /** Of the scenario that kills; others have at most `otherStateMebibytesMax`. */
  readonly stateMebibytes: number;
  readonly kills: number;
  /** Of the server's absence, the storm, the slowness. */
  readonly faultSeconds: number;
  /** From and to, of one slow answer. */
  readonly slowSeconds: readonly [number, number];
  readonly checkpointIntervalSeconds: number;
  readonly updatesPerSecond: number;
  readonly seed: number;
  /** For anything that must happen. */
  readonly deadlineMs: number;
}

const otherStateMebibytesMax = 64;

/** The server of all scenarios: requests go through a proxy that can spoil them. */
export class FaultyStorage implements AsyncDisposable {
  readonly server: S3Server;
  readonly proxy: FaultyProxy;

  private constructor(server: S3Server, proxy: FaultyProxy) {
    this.server = server;
    this.proxy = proxy;
  }

  static async start(): Promise<FaultyStorage> {
    const server = await S3Server.start();
    const proxy = await FaultyProxy.start(() => server.port);
    // The judge reads state in this process, and not through the proxy.
    Object.assign(process.env, server.environment);
    return new FaultyStorage(server, proxy);
  }

  get environment(): Readonly<Record<string, string>> {
    return { ...this.server.environment, AWS_ENDPOINT_URL_S3: this.proxy.endpoint };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

/** One job of one scenario, filled with state, with all that can be done to it and the judgement in the end. */
export class FaultScene implements AsyncDisposable {
  readonly cluster: FaultCluster;
  readonly storage: FaultyStorage;
  readonly settings: FaultSettings;
  readonly random: Random;
  readonly stateMebibytes: number;
  readonly #directory: string;
  readonly #name: string;
  readonly #keyCount: number;

  private constructor(options: {
    readonly name: string;
    readonly storage: FaultyStorage;
    readonly settings: FaultSettings;
    readonly directory: string;
    readonly stateMebibytes: number;
    readonly signal: AbortSignal;
  }) {
    const { name, storage, settings, directory, stateMebibytes, signal } = options;
    this.storage = storage;
    this.settings = settings;
    this.stateMebibytes = stateMebibytes;
    this.random = new Random(settings.seed);
    this.#name = name;
    this.#directory = directory;
    this.#keyCount = Math.ceil((stateMebibytes * mebibyte) / valueSizeBytesMean);
    this.cluster = new FaultCluster({
      ...{ name, directory, signal },
      args: {
        ...{ keys: String(this.#keyCount), updatesPerSecond: String(settings.updatesPerSecond) },
        ...{ control: this.#controlDirectory, out: this.#outputDirectory },
      },
      checkpointStorage: `s3://${storage.server.bucket}/jobs`,
      checkpointIntervalSeconds: settings.checkpointIntervalSeconds,
      taskManagerMebibytes: 512,
      environment: storage.environment,
      deadlineMs: settings.deadlineMs,
    });
  }

  /** Nothing runs yet. `isLarge`: with all the state that was asked for. */
  static async make(options: {
    readonly name: string;
    readonly storage: FaultyStorage;
    readonly settings: FaultSettings;
    readonly isLarge: boolean;
    readonly signal: AbortSignal;
  }): Promise<FaultScene> {
    const { settings, isLarge } = options;
    const directory = await mkdtemp(join(tmpdir(), `flinkjob-faults-${options.name}-`));
    const stateMebibytes = isLarge ? settings.stateMebibytes : Math.min(settings.stateMebibytes, otherStateMebibytesMax);
    const scene = new FaultScene({ ...options, directory, stateMebibytes });
    await mkdir(scene.#controlDirectory);
    await mkdir(scene.#outputDirectory);
    return scene;
  }

  /** Every key has its value, and a checkpoint has all of them. */
  async fill(): Promise<void> {
    await this.cluster.startAll();
    const filledFile = join(this.#controlDirectory, filledFileName);
    await this.cluster.until('the state is filled', async () => (existsSync(filledFile) ? true : undefined));
    const filled = await this.cluster.checkpointed();
    if (filled.restarts > 0 || filled.error !== undefined) {
      throw new Error(`the job was restarted before anything was done to it: ${JSON.stringify(filled.error)}`);
    }
  }

  /** Ends the job and compares all that it leaves with what it must leave; says how much that was. */
  async judge(options: { readonly mayRepeat?: boolean } = {}): Promise<string> {
    writeFileSync(join(this.#controlDirectory, stopFileName), '');
    await this.cluster.ends();
    const recordCount = Number(readFileSync(join(this.#controlDirectory, endFileName), 'utf8'));
    const output = judgeOutput(this.#committedLines(), { ...options, recordCount, keyCount: this.#keyCount });
    const stateSizeBytes = await this.#judgeState(output);
    await this.#judgeBucket();
    const repeated =
      output.repeated === undefined ? '' : ` (${output.repeated.to - output.repeated.from} of them again, after the rewind)`;
    return `${recordCount} records exact${repeated}, ${this.#keyCount} keys and ${Math.round(stateSizeBytes / mebibyte)} MiB of state equal, bucket clean`;
  }

  /** Index of the latest record of which a line is committed; -1 without any. */
  latestCommitted(): number {
    let latest = -1;
    for (const line of this.#committedLines()) {
      latest = Math.max(latest, Number(line.slice(0, line.indexOf(' '))));
    }
    return latest;
  }

  /** Of the newest checkpoint, those that the one before does not name: objects of storage, as files that can be spoilt. */
  newStateFile(): { readonly file: string; readonly name: string; readonly previousCheckpoint: string } | undefined {
    const [previous, newest] = this.#newestManifests();
    if (previous === undefined || newest === undefined) {
      return undefined;
    }
    const shared = new Set(previous.files);
    const name = newest.files.find((path) => path.endsWith('.sst') && !shared.has(path));
    return name === undefined
      ? undefined
      : { name, file: join(this.#lineageDirectory, name), previousCheckpoint: previous.directory };
  }

  /** For whoever looks into a failure: where logs and configurations are from now on. */
  async keepLogs(): Promise<string> {
    const kept = await mkdtemp(join(tmpdir(), `flinkjob-faults-${this.#name}-failed-`));
    for (const file of await this.cluster.logs()) {
      await copyFile(file, join(kept, basename(file)));
    }
    return `logs: ${kept}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.storage.proxy.reset();
    this.storage.proxy.weather = undefined;
    await this.cluster[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  get #controlDirectory(): string {
    return join(this.#directory, 'control');
  }

  get #outputDirectory(): string {
    return join(this.#directory, 'out');
  }

  /** Objects are files there. */
  get #lineageDirectory(): string {
    return join(this.storage.server.directoryOf(this.storage.server.bucket), 'jobs', 'faults', this.#name);
  }

  *#committedLines(): Generator<string> {
    for (const name of readdirSync(this.#outputDirectory).filter((file) => file.startsWith('part-'))) {
      yield* readFileSync(join(this.#outputDirectory, name), 'utf8').trimEnd().split('\n');
    }
  }

  /** Each key of the last checkpoint has the version, the hash and the bytes that follow from all records. */
  async #judgeState({ versions, hashes }: JudgedOutput): Promise<number> {
    const values = new GeneratedValues(largeStateSizes);
    await using snapshot = await openSnapshot(this.cluster.lineageUrl, { localDirectory: this.#directory });
    const definition = state.value(t.struct({ version: t.int, hash: t.int, value: t.bytes }));
    let count = 0;
    let sizeBytes = 0;
    for await (const { key, value } of readState(snapshot.operator('values'), 'stored', { keyType: t.int, definition })) {
      const isRight =
        value.version === versions[key] &&
        value.hash === hashes[key] &&
        Buffer.compare(value.value, values.valueOf(key, value.version)) === 0;
      if (!isRight) {
        throw new Error(
          `the last checkpoint has key ${key} as version ${value.version}; it should be version ${versions[key]}, or its hash or its bytes are wrong`,
        );
      }
      count += 1;
      sizeBytes += value.value.byteLength;
    }
    if (count !== this.#keyCount) {
      throw new Error(`the last checkpoint has ${count} keys; it should have ${this.#keyCount}`);
    }
    return sizeBytes;
  }

  /** Asks the janitor, as a person would, who proves of each object what it is there for. */
  async #judgeBucket(): Promise<void> {
    const command = fileURLToPath(import.meta.resolve('@flinkjob/runtime/command'));
    const args = [command, 'lineage', 'check', this.cluster.lineageUrl, '--unattended', '--young', '0', '--grace', '0'];
    const endMs = performance.now() + cleanTimeoutMs;
    for (;;) {
      const { code, output } = await outcomeOf(process.execPath, args);
      if (code === 0) {
        return;
      }
      if (performance.now() > endMs) {
        throw new Error(`the bucket holds other objects than the manifests name:\n${output}`);
      }
      await delay(cleanCheckIntervalMs);
    }
  }

  /** Of the two newest checkpoints, which are retained; older ones may go while they are read. Oldest first. Read directly: the judge's own eyes, not the product's. */
  #newestManifests(): readonly Manifest[] {
    const folder = join(this.#lineageDirectory, 'lineage');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .toSorted()
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as LineageEntry)
      .flatMap(({ type, manifest }) => (type === 'Completed' && manifest !== undefined ? [manifest.path] : []))
      .filter((path) => existsSync(join(this.#lineageDirectory, path)))
      .slice(-2)
      .map((path) => this.#readManifest(path));
  }

  #readManifest(path: string): Manifest {
    const { operators } = JSON.parse(readFileSync(join(this.#lineageDirectory, path), 'utf8')) as ManifestDocument;
    const files = operators
      .flatMap(({ keyed }) => keyed?.parts ?? [])
      .flatMap((part) => part.files)
      .flatMap(({ handle }) => (handle.path === undefined ? [] : [handle.path]));
    return { directory: path.slice(0, path.lastIndexOf('/')), files };
  }
}

/** As a disk or a person would: the object stays where it is and as long as it was. */
export function changeBytes(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.byteLength >> 1;
  for (let at = middle; at < Math.min(middle + 16, bytes.byteLength); at++) {
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  }
  chmodSync(file, 0o644);
  writeFileSync(file, bytes);
}

/** Not synchronously: the proxy lives in this process. */
function outcomeOf(command: string, args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

interface Manifest {
  readonly directory: string;
  readonly files: readonly string[];
}

interface LineageEntry {
  readonly type: string;
  readonly manifest?: { readonly path: string };
}

interface ManifestDocument {
  readonly operators: readonly {
    readonly keyed?: {
      readonly parts: readonly { readonly files: readonly { readonly handle: { readonly path?: string } }[] }[];
    };
  }[];
}
