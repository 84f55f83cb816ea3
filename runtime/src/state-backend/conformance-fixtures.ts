import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, statfsSync } from 'node:fs';
import { link, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inlineStateSizeBytesMax, type SnapshotFormat, type StateHandle } from '../core/checkpoint/manifest.ts';
import type { AggregateImplementation, StateImplementation } from '../core/job-graph/executable-job.ts';
import type { StateDeclaration, StateTtl } from '../core/job-graph/job-graph.ts';
import type { KeyGroupRange } from '../core/key-groups/key-group.ts';
import type { Type } from '../core/types/type.ts';
import type { KeyedStateBackendFactory, RestoredPart, SnapshotTarget, WrittenState } from './state-backend.ts';

/** A state backend as its tests and the shared ones open it. */
export interface BackendUnderTest {
  readonly name: string;
  /** `workingDirectory` is empty, the factory's own, and goes away after its backends were closed. */
  createFactory(workingDirectory: string): Promise<KeyedStateBackendFactory>;
}

/**
 * Directories of one test: one that stands for checkpoint storage, and as many working directories as are asked for. Files are linked
 * both ways, as a medium on the same disk would; that nobody changed one meanwhile is checked when it is fetched.
 */
export class StateDirectories {
  readonly #root: string;
  #nextNumber = 1;

  private constructor(root: string) {
    this.#root = root;
  }

  /** `isFast`: in memory where the machine has a file system there; for tests that open many databases, and not to see how a disk behaves. */
  static async create({ isFast = false }: { readonly isFast?: boolean } = {}): Promise<StateDirectories> {
    const parent = isFast && hasRoom(sharedMemory) ? sharedMemory : tmpdir();
    return new StateDirectories(await mkdtemp(join(parent, 'flinkjob-state-')));
  }

  /** For a backend's factory. */
  async createWorkingDirectory(): Promise<string> {
    return mkdtemp(join(this.#root, 'working-'));
  }

  /** For one snapshot. */
  createTarget(format: SnapshotFormat = 'Native'): SnapshotTarget {
    const prefix = `snapshot-${this.#nextNumber++}`;
    const names = new Set<string>();
    const claim = (name: string): string => {
      assert.match(name, /^[A-Za-z0-9._-]+$/u, 'a name in a snapshot is one part of a path');
      assert.ok(!names.has(name), `${name} was put twice into one snapshot`);
      names.add(name);
      return `${prefix}-${name}`;
    };
    const putFile: SnapshotTarget['putFile'] = async (name, localPath, known) => {
      const path = claim(name);
      const content = await readFile(localPath);
      const sha256 = sha256Of(content);
      assert.equal(known.sha256 ?? sha256, sha256, `the hash that is known of ${localPath}`);
      await link(localPath, join(this.#root, path));
      return { type: 'file', path, sizeBytes: content.length, sha256 };
    };
    return {
      format,
      putBytes: async (name, bytes) => {
        const path = claim(name);
        if (bytes.length < inlineStateSizeBytesMax) {
          return { type: 'inline', base64: Buffer.from(bytes).toString('base64') };
        }
        // Copied in this step: the bytes are the caller's again when the promise settles, not before.
        await writeFile(join(this.#root, path), bytes, { flag: 'wx' });
        return { type: 'file', path, sizeBytes: bytes.length, sha256: sha256Of(bytes) };
      },
      putFile,
      putSharedFile: putFile,
    };
  }

  /** What a restore gives to an opening backend. */
  async toRestoredPart(written: WrittenState, keyGroups: KeyGroupRange): Promise<RestoredPart> {
    return {
      backend: written.backend,
      keyGroups,
      bytes: await this.#read(written.handle),
      files: await Promise.all(
        written.files.map(async ({ name, handle }) => ({
          name,
          sizeBytes: (await this.#read(handle)).length,
          fetch: async (localPath) => {
            const content = await this.#read(handle);
            if (handle.type === 'inline') {
              await writeFile(localPath, content, { flag: 'wx' });
            } else {
              await link(join(this.#root, handle.path), localPath);
            }
          },
          read: () => this.#read(handle),
        })),
      ),
    };
  }

  async remove(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }

  async #read(handle: StateHandle): Promise<Uint8Array> {
    if (handle.type === 'inline') {
      return Buffer.from(handle.base64, 'base64');
    }
    const path = join(this.#root, handle.path);
    assert.equal((await stat(path)).size, handle.sizeBytes, `the size of ${handle.path}`);
    const content = await readFile(path);
    assert.equal(sha256Of(content), handle.sha256, `${handle.path} was changed after it was put`);
    return content;
  }
}

const sharedMemory = '/dev/shm';
/** Several files of tests write there at a time, the largest of them some 50 MB; a container has 64 MiB unless it is told otherwise. */
const sharedMemoryMinBytes = 512 * 2 ** 20;

function hasRoom(directory: string): boolean {
  if (!existsSync(directory)) {
    return false;
  }
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize >= sharedMemoryMinBytes;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export interface StateOptions {
  readonly namespaced?: boolean | undefined;
  readonly ttl?: StateTtl | undefined;
}

export function valueState(name: string, type: Type<unknown>, options?: StateOptions): StateImplementation {
  return implement({ ...base(name, options), stateType: 'value', valueType: type.descriptor }, type);
}

export function listState(name: string, type: Type<unknown>, options?: StateOptions): StateImplementation {
  return implement({ ...base(name, options), stateType: 'list', elementType: type.descriptor }, type);
}

export function mapState(name: string, keyType: Type<unknown>, type: Type<unknown>, options?: StateOptions): StateImplementation {
  const declaration: StateDeclaration = {
    ...base(name, options),
    stateType: 'map',
    mapKeyType: keyType.descriptor,
    valueType: type.descriptor,
  };
  return { ...implement(declaration, type), mapKeyType: keyType };
}

export function reducingState(
  name: string,
  type: Type<unknown>,
  reduce: (reduced: unknown, value: unknown) => unknown,
  options?: StateOptions,
): StateImplementation {
  const aggregate: AggregateImplementation = {
    createAccumulator: undefined,
    add: reduce,
    getResult: (reduced) => reduced,
  };
  return { ...implement({ ...base(name, options), stateType: 'reducing', valueType: type.descriptor }, type), aggregate };
}

export function aggregatingState(
  name: string,
  accumulatorType: Type<unknown>,
  aggregate: AggregateImplementation,
  options?: StateOptions,
): StateImplementation {
  const declaration: StateDeclaration = {
    ...base(name, options),
    stateType: 'aggregating',
    accumulatorType: accumulatorType.descriptor,
  };
  return { ...implement(declaration, accumulatorType), aggregate };
}

function base(name: string, options: StateOptions = {}): { name: string; namespaced?: boolean; ttl?: StateTtl } {
  return {
    name,
    ...(options.namespaced === undefined ? {} : { namespaced: options.namespaced }),
    ...(options.ttl === undefined ? {} : { ttl: options.ttl }),
  };
}

function implement(declaration: StateDeclaration, valueType: Type<unknown>): StateImplementation {
  return { declaration, valueType, mapKeyType: undefined, aggregate: undefined };
}
