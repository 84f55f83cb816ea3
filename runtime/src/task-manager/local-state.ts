import type { TaskManagerProcessConfig } from '../api/process-config.ts';
import { assert } from '../core/assert.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import { JobError } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import type { RocksDbMemory } from '../core/memory/memory-budget.ts';
import type { SubtaskDeployment } from '../core/protocol/messages.ts';
import type { Log } from '../log.ts';
import {
  openWorkingDirectories,
  type WorkingDirectories,
  type WorkingDirectory,
} from '../state-backend/local-directories/working-directories.ts';
import { workingDirectoryName } from '../state-backend/local-directories/working-directory-name.ts';
import { loadNativeBinding, nativeBindingPath } from '../state-backend/rocksdb/native-loader.ts';

/**
 * What the RocksDB backend needs of the whole process: the addon with its memory set, before any thread opens a database, and
 * directories on local disks.
 */
export class LocalState {
  readonly #directories: WorkingDirectories;
  readonly #lineage: string;

  private constructor(directories: WorkingDirectories, lineage: string) {
    this.#directories = directories;
    this.#lineage = lineage;
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
    return new LocalState(directories, `${lineage.namespace}/${lineage.name}`);
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
    return {
      addonPath: nativeBindingPath(),
      directories: new Map([...allocated].map(([name, { path }]) => [name, path])),
      release,
    };
  }

  async close(): Promise<void> {
    await this.#directories.close();
  }
}

export interface AllocatedState {
  readonly addonPath: string;
  /** By `backendName`. */
  readonly directories: ReadonlyMap<string, string>;
  /** Removes them; whoever used them is gone by then. */
  release(): Promise<void>;
}

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
