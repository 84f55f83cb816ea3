import { createHash } from 'node:crypto';
import { type ObjectReference, putObject } from '../../src/checkpoint-storage/verified-objects.ts';
import type { LocalFiles } from '../../src/task-manager/shared-files.ts';

/**
 * The local disk of one TaskManager: files by path, which nobody changes. A path is used once, so it also tells whether two names mean one file,
 * as the number of an inode does.
 */
export class SimulatedDisk implements LocalFiles {
  readonly #files = new Map<string, Uint8Array>();
  /** Copies of objects in checkpoint storage, by their names there. */
  readonly #copies = new Map<string, string>();
  #fileCount = 0;

  create(bytes: Uint8Array): string {
    this.#fileCount += 1;
    const path = `file-${this.#fileCount}`;
    this.#files.set(path, bytes);
    return path;
  }

  bytesOf(path: string): Uint8Array {
    const bytes = this.#files.get(path);
    if (bytes === undefined) {
      throw new Error(`no file ${path} on the local disk`);
    }
    return bytes;
  }

  keepCopy(objectPath: string, path: string): void {
    this.#copies.set(objectPath, path);
  }

  copyOf(objectPath: string): string | undefined {
    return this.#copies.get(objectPath);
  }

  async sizeBytes(path: string): Promise<number> {
    return this.bytesOf(path).byteLength;
  }

  async read(path: string): Promise<Uint8Array> {
    return this.bytesOf(path);
  }

  async sha256(path: string): Promise<string> {
    return createHash('sha256').update(this.bytesOf(path)).digest('hex');
  }

  async put(ports: Parameters<LocalFiles['put']>[0], reference: ObjectReference, path: string): Promise<ObjectReference> {
    const written = await putObject(ports, reference.path, this.bytesOf(path));
    this.keepCopy(reference.path, path);
    return written;
  }
}
