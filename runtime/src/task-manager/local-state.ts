import { basename, join } from 'node:path';
import type { TaskManagerProcessConfig } from '../api/process-config.ts';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { assert } from '../core/assert.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import { type ErrorInfo, JobError } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { RocksDbMemory } from '../core/memory/memory-budget.ts';
import type { LocalStatePart, SubtaskDeployment } from '../core/protocol/messages.ts';
import type { Log } from '../log.ts';
import type { LocalDirectoryFacts } from '../state-backend/local-directories/inspect-local-directory.ts';
import {
  openWorkingDirectories,
  type WorkingDirectories,
  type WorkingDirectory,
} from '../state-backend/local-directories/working-directories.ts';
import { workingDirectoryName } from '../state-backend/local-directories/working-directory-name.ts';
import { loadNativeBinding, nativeBindingPath } from '../state-backend/rocksdb/native-loader.ts';
import { keptPartDirectory } from './local-recovery/keep-files.ts';
import { filesOf } from './local-recovery/kept-part.ts';
import { localRecoveryLimits } from './local-recovery/limits.ts';
import { type AcknowledgedState, type LocalFile, LocalParts } from './local-recovery/local-parts.ts';
import { Prefetch, type PrefetchRequest } from './local-recovery/prefetch.ts';
import { verifyInBackground } from './local-recovery/verify-in-background.ts';

/**
 * What the RocksDB backend needs of the whole process: the addon with its memory set, before any thread opens a database, directories on
 * local disks, and the files of earlier checkpoints that are still there.
 */
export class LocalState {
  readonly #directories: WorkingDirectories;
  readonly #lineage: string;
  readonly #parts: LocalParts;
  readonly #log: Log;
  readonly #prefetch: Prefetch;
  readonly #sweepTimer: NodeJS.Timeout;
  #onLocalParts: () => void = () => {};

  private constructor(
    directories: WorkingDirectories,
    { lineage, storage }: { readonly lineage: string; readonly storage: CheckpointStorage },
    parts: LocalParts,
    log: Log,
  ) {
    this.#prefetch = new Prefetch({
      ...{ storage, parts, log },
      keptDirectories: () => directories.keptDirectories(),
      onKept: () => this.#onLocalParts(),
    });
    this.#sweepTimer = setInterval(() => this.#sweep(), localRecoveryLimits.sweepIntervalMs);
    this.#sweepTimer.unref();
    this.#directories = directories;
    this.#lineage = lineage;
    this.#parts = parts;
    this.#log = log;
  }

  /** Throws `RocksDbNotAvailable`, `LocalDirectoriesMissing`, and what is wrong with a directory. */
  static async open(
    config: Pick<TaskManagerProcessConfig, 'localDirectories' | 'taskManagerId' | 'lineage'>,
    memory: RocksDbMemory,
    log: Log,
  ): Promise<LocalState> {
    const { localDirectories, taskManagerId, lineage } = config;
    const binding = loadNativeBinding();
    binding.configureMemory({ capacityBytes: memory.capacitySizeBytes, writeBufferBytes: memory.writeBufferSizeBytes });
    if (localDirectories.length === 0) {
      throw new JobError('the state backend RocksDB needs a local directory, and the configuration names none', {
        domain: 'user',
        retry: 'never',
        code: 'LocalDirectoriesMissing',
        remedy: 'Name at least one directory on a local disk in localDirectories.',
      });
    }
    const directories = await openWorkingDirectories({ localDirectories, taskManagerId });
    const { facts } = directories;
    log.info({ rocksDb: binding.rocksdbVersion, addon: nativeBindingPath(), ...facts }, 'working directories');
    for (const warning of facts.directories.flatMap(({ warnings }) => warnings)) {
      log.warn({ warning }, 'a working directory is not what a job wants');
    }
    const name = `${lineage.namespace}/${lineage.name}`;
    const parts = await LocalParts.open(directories.keptDirectories(), `${lineage.checkpointStorage} ${name}`, log);
    const storage = openCheckpointStorage(lineage.checkpointStorage, lineage);
    return new LocalState(directories, { lineage: name, storage }, parts, log);
  }

  /** Of all databases of the process. */
  readonly memoryUsage = () => loadNativeBinding().memoryUsage();

  /** The local directories, with how fast they were at the start. */
  get disks(): readonly LocalDirectoryFacts[] {
    return this.#directories.facts.directories;
  }

  #sweep(): void {
    // Not awaited: nothing depends on it, and it is tried again.
    void Promise.all([this.#parts.sweep(), this.#directories.removeLeft(localRecoveryLimits.sweepIntervalMs)]).catch(
      (error: unknown) => {
        this.#log.warn({ err: error }, 'what others left on the local disk could not be removed');
      },
    );
  }

  localParts(): readonly LocalStatePart[] {
    return this.#parts.list();
  }

  /** Calls `onLocalParts` when there are others than before. */
  prefetch(request: PrefetchRequest, onLocalParts: () => void): void {
    this.#onLocalParts = onLocalParts;
    this.#prefetch.request(request);
  }

  /** A directory for each keyed operator of each subtask. */
  async allocate(token: FencingToken, graph: JobGraph, subtasks: readonly SubtaskDeployment[]): Promise<AllocatedState> {
    const allocated = new Map<string, WorkingDirectory>();
    const release = async (): Promise<void> => {
      await Promise.all([...allocated.values()].map((directory) => directory.release()));
    };
    try {
      for (const { operatorUid, subtaskIndex } of keyedOperators(graph, subtasks)) {
        const name = workingDirectoryName({ lineage: this.#lineage, token, operatorUid, subtaskIndex });
        allocated.set(backendName(operatorUid, subtaskIndex), await this.#directories.allocate(name));
      }
    } catch (error) {
      await release();
      throw error;
    }
    const keptPrefixes = new Map(
      [...allocated].map(([name, { keptDirectory, path }]) => [name, join(keptDirectory, basename(path))]),
    );
    // Whatever was acknowledged or has been brought is known before it is asked for.
    await this.#prefetch.stop();
    await this.#parts.settled();
    return new AllocatedState({
      directories: new Map([...allocated].map(([name, { path }]) => [name, path])),
      keptPrefixes,
      localFiles: this.#localFilesOf(subtasks),
      parts: this.#parts,
      token,
      log: this.#log,
      release,
    });
  }

  #localFilesOf(subtasks: readonly SubtaskDeployment[]): ReadonlyMap<string, LocalFile> {
    const files = this.#parts.files();
    const wanted = subtasks.flatMap(({ operators }) => operators.flatMap(({ keyedParts }) => keyedParts.flatMap(filesOf)));
    return new Map(
      wanted.flatMap(({ path }) => {
        const file = files.get(path);
        return file === undefined ? [] : [[path, file]];
      }),
    );
  }

  /** `leaveKept`: for the next process in this place. */
  async close(options: { readonly leaveKept: boolean }): Promise<void> {
    clearInterval(this.#sweepTimer);
    await this.#prefetch.stop();
    await this.#parts.settled();
    await this.#directories.close(options);
  }
}

interface AllocatedStateOptions {
  readonly directories: ReadonlyMap<string, string>;
  readonly keptPrefixes: ReadonlyMap<string, string>;
  readonly localFiles: ReadonlyMap<string, LocalFile>;
  readonly parts: LocalParts;
  readonly token: FencingToken;
  readonly log: Log;
  readonly release: () => Promise<void>;
}

/** What one deployment has on local disks. */
export class AllocatedState {
  readonly addonPath = nativeBindingPath();
  /** By `backendName`. */
  readonly directories: ReadonlyMap<string, string>;
  /** By `backendName`: for `keptPartDirectory`. */
  readonly keptPrefixes: ReadonlyMap<string, string>;
  /** By path of the object in storage: what of the restored state need not be fetched. */
  readonly localFiles: ReadonlyMap<string, LocalFile>;
  readonly #options: AllocatedStateOptions;
  readonly #verifying = new AbortController();
  /** By checkpoint; those that are neither completed nor aborted. */
  readonly #checkpointDirectories = new Map<number, string>();

  constructor(options: AllocatedStateOptions) {
    this.#options = options;
    this.directories = options.directories;
    this.keptPrefixes = options.keptPrefixes;
    this.localFiles = options.localFiles;
  }

  /** Reads, slowly, what was linked and comes from an earlier process. `onDamaged` is called at most once. */
  verify(onDamaged: (error: JobError) => void): void {
    const { parts, log } = this.#options;
    const paths = [...this.localFiles.keys()].filter((path) => !parts.isVerified(path));
    // Not awaited: it ends with the deployment, and answers through `onDamaged`.
    void verifyInBackground({ paths, parts, log, signal: this.#verifying.signal, onDamaged });
  }

  checkpointTriggered(checkpointId: number, directory: string): void {
    this.#checkpointDirectories.set(checkpointId, directory);
    const directories = [...this.keptPrefixes.values()].map((prefix) => keptPartDirectory(prefix, directory));
    this.#options.parts.begun(checkpointId, directories);
  }

  acknowledged(state: Omit<AcknowledgedState, 'token'>): void {
    const { parts, token } = this.#options;
    const directory = this.#checkpointDirectories.get(state.checkpointId);
    parts.acknowledged({ ...state, token }, (uid, subtaskIndex) => {
      const prefix = this.keptPrefixes.get(backendName(uid, subtaskIndex));
      return directory === undefined || prefix === undefined ? undefined : keptPartDirectory(prefix, directory);
    });
  }

  checkpointCompleted(checkpointId: number): void {
    this.#forgetUntil(checkpointId);
    this.#options.parts.completed(checkpointId);
  }

  checkpointAborted(checkpointId: number): void {
    this.#checkpointDirectories.delete(checkpointId);
    this.#options.parts.aborted(checkpointId);
  }

  /** A file on the local disk may be what is wrong: the next deployment fetches all of them. */
  taskFailed({ code, message }: ErrorInfo): void {
    if (damagedFileCodes.has(code)) {
      this.#options.parts.distrust(message);
    }
  }

  /** Removes the directories; whoever used them is gone by then. */
  async release(): Promise<void> {
    this.#verifying.abort();
    this.#options.parts.deploymentEnded();
    await this.#options.release();
  }

  #forgetUntil(checkpointId: number): void {
    for (const id of this.#checkpointDirectories.keys()) {
      if (id <= checkpointId) {
        this.#checkpointDirectories.delete(id);
      }
    }
  }
}

const damagedFileCodes: ReadonlySet<string> = new Set(['LocalStateDamaged', 'StateFileDamaged', 'StateCorrupt']);

/** Unique within a deployment; what a backend calls itself. */
export function backendName(operatorUid: string, subtaskIndex: number): string {
  return `${operatorUid}-${subtaskIndex}`;
}

export function keyedOperators(
  graph: JobGraph,
  subtasks: readonly SubtaskDeployment[],
): readonly { readonly operatorUid: string; readonly subtaskIndex: number }[] {
  return subtasks.flatMap(({ task }) => {
    const vertex = graph.vertices.find(({ id }) => id === task.vertexId);
    assert(vertex !== undefined, `the deployment names the vertex '${task.vertexId}', which is not in the graph`);
    const keyed = vertex.operators.filter((operator) => operator.keyed !== undefined);
    return keyed.map(({ id }) => ({ operatorUid: id, subtaskIndex: task.subtaskIndex }));
  });
}
