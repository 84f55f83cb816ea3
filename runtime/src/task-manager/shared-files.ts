import { readFile, stat } from 'node:fs/promises';
import type { CheckpointStorage } from '../checkpoint-storage/checkpoint-storage.ts';
import { type ObjectReference, putObjectFile, sha256OfFile } from '../checkpoint-storage/verified-objects.ts';
import { inlineStateSizeBytesMax, type StateHandle } from '../core/checkpoint/manifest.ts';
import { type FileHandle, SharedFileRegistry } from '../core/checkpoint/shared-file-registry.ts';
import type { Clock } from '../core/clock.ts';
import type { FencingToken } from '../core/fencing-token.ts';
import type { LineageRules } from '../core/lineage/lineage-rules.ts';
import { sharedFileOfPath } from '../core/lineage/object-paths.ts';
import type { FileIdentity } from '../core/lineage/same-content.ts';
import type { RestoredFile, StoredFiles } from '../state-backend/state-backend.ts';

export interface SharedFileRequest {
  /** What the database calls it. */
  readonly name: string;
  /** A link that stays until the promise settles. */
  readonly localPath: string;
  readonly sha256: string | undefined;
  /** Of the snapshot that will name the file; undefined ahead of all snapshots. */
  readonly checkpointId: number | undefined;
  /** For bytes that were written because of this request and no other. */
  readonly onUploaded: (sizeBytes: number) => void;
}

interface StoragePorts {
  readonly storage: CheckpointStorage;
  readonly clock: Clock;
}

/** What is done with files of the local disk; the simulator has files of its own. */
export interface LocalFiles {
  sizeBytes(path: string): Promise<number>;
  read(path: string): Promise<Uint8Array>;
  sha256(path: string): Promise<string>;
  put(ports: StoragePorts, reference: ObjectReference, path: string): Promise<ObjectReference>;
}

const filesOnDisk: LocalFiles = {
  sizeBytes: async (path) => (await stat(path)).size,
  read: (path) => readFile(path),
  sha256: sha256OfFile,
  put: putObjectFile,
};

export interface SharedFilesOptions {
  readonly rules?: LineageRules;
  readonly localFiles?: LocalFiles;
  /** Smaller files travel in the manifest. */
  readonly inlineSizeBytesMax?: number;
}

/**
 * Brings the files of one database into checkpoint storage, each once, however many checkpoints name it. What is known of them, and what
 * may be forgotten, is the registry's business.
 *
 * 1. Who asks for a file that is being written waits for that write.
 * 2. A write that failed is forgotten: the next who asks writes again.
 */
export class SharedFiles implements StoredFiles {
  readonly #ports: StoragePorts;
  readonly #localFiles: LocalFiles;
  readonly #inlineSizeBytesMax: number;
  readonly #registry: SharedFileRegistry;
  /** By local name. */
  readonly #uploads = new Map<string, Promise<FileHandle>>();

  constructor(ports: StoragePorts, token: FencingToken, options: SharedFilesOptions = {}) {
    this.#ports = ports;
    this.#localFiles = options.localFiles ?? filesOnDisk;
    this.#inlineSizeBytesMax = options.inlineSizeBytesMax ?? inlineStateSizeBytesMax;
    this.#registry = new SharedFileRegistry(token, options.rules);
  }

  /** Only what lies among this lineage's shared files is named again: anything else goes away with whoever it belongs to. */
  restored(files: readonly FileIdentity[], sources: readonly (FileIdentity & { readonly file: RestoredFile })[]): void {
    const shared = sources.flatMap(({ file: { handle }, ...identity }) =>
      handle?.type === 'file' && sharedFileOfPath(handle.path) !== undefined ? [{ ...identity, handle }] : [],
    );
    this.#registry.restored(files, shared);
  }

  retain(names: readonly string[]): void {
    this.#registry.retain(names);
  }

  /** Gives where the file is once it is there; small ones travel in the manifest. */
  async put(request: SharedFileRequest): Promise<StateHandle> {
    const { name, localPath, checkpointId } = request;
    const sizeBytes = await this.#localFiles.sizeBytes(localPath);
    if (sizeBytes < this.#inlineSizeBytesMax) {
      return { type: 'inline', base64: Buffer.from(await this.#localFiles.read(localPath)).toString('base64') };
    }
    const stored = this.#registry.find({ name, sizeBytes }, checkpointId);
    if (stored !== undefined) {
      return stored;
    }
    const others = this.#uploads.get(name);
    if (others !== undefined) {
      const handle = await others.catch(() => undefined);
      // Whoever began it hears why it failed; this one tries by itself.
      return handle ?? (await this.put(request));
    }
    const upload = this.#upload(request, sizeBytes).finally(() => this.#uploads.delete(name));
    this.#uploads.set(name, upload);
    return await upload;
  }

  /** A checkpoint was acknowledged, or never will be. */
  settled(checkpointId: number): void {
    this.#registry.settled(checkpointId);
  }

  /** See `SharedFileRegistry.forget`. */
  forget(requestId: number, names: readonly string[]): readonly string[] {
    return this.#registry.forget(requestId, names);
  }

  async #upload(request: SharedFileRequest, sizeBytes: number): Promise<FileHandle> {
    const { name, localPath } = request;
    const sha256 = request.sha256 ?? (await this.#localFiles.sha256(localPath));
    const path = this.#registry.beginUpload(sha256);
    let handle: FileHandle;
    try {
      handle = { type: 'file', ...(await this.#localFiles.put(this.#ports, { path, sizeBytes, sha256 }, localPath)) };
    } catch (error) {
      this.#registry.failed(path);
      throw error;
    }
    this.#registry.uploaded(name, handle);
    request.onUploaded(sizeBytes);
    return handle;
  }
}
