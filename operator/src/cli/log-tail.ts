import { open } from 'node:fs/promises';

/** How much of the end of a file is read to find its last lines. */
const tailSizeBytesMax = 256 * 1024;
/** Of one read; a process that prints faster is followed in several. */
const readSizeBytesMax = 1024 * 1024;

/** Follows one growing text file by asking for more; survives that it is missing, truncated or replaced. */
export class LogTail {
  readonly #path: string;
  #offset: number | undefined;
  #inode: number | undefined;
  #partial = '';
  readonly #decoder = new TextDecoder();

  /** From the beginning, or from where the last `lineCount` lines begin. */
  constructor(path: string, start: 'beginning' | { readonly lineCount: number }) {
    this.#path = path;
    this.#offset = start === 'beginning' ? 0 : undefined;
    this.#lineCount = start === 'beginning' ? 0 : start.lineCount;
  }

  readonly #lineCount: number;

  /** Complete lines that appeared since the last call. A missing file has none. */
  async read(): Promise<readonly string[]> {
    const file = await open(this.#path, 'r').catch(() => undefined);
    if (file === undefined) {
      return [];
    }
    try {
      const { size, ino } = await file.stat();
      if (this.#inode !== undefined && (ino !== this.#inode || size < (this.#offset ?? 0))) {
        this.#offset = 0;
        this.#partial = '';
      }
      this.#inode = ino;
      if (this.#offset === undefined) {
        const start = Math.max(0, size - tailSizeBytesMax);
        const lines = splitLines((await readPart(file, start, size - start)).toString('utf8'));
        this.#offset = size;
        this.#partial = lines.partial;
        const complete = start > 0 ? lines.complete.slice(1) : lines.complete;
        return this.#lineCount === 0 ? [] : complete.slice(-this.#lineCount);
      }
      const bytes = await readPart(file, this.#offset, Math.min(size - this.#offset, readSizeBytesMax));
      this.#offset += bytes.length;
      const lines = splitLines(this.#partial + this.#decoder.decode(bytes, { stream: true }));
      this.#partial = lines.partial;
      return lines.complete;
    } finally {
      await file.close();
    }
  }
}

async function readPart(
  file: { read: (buffer: Buffer, options: { position: number }) => Promise<{ bytesRead: number }> },
  position: number,
  length: number,
) {
  const buffer = Buffer.alloc(Math.max(0, length));
  if (length <= 0) {
    return buffer;
  }
  const { bytesRead } = await file.read(buffer, { position });
  return buffer.subarray(0, bytesRead);
}

function splitLines(text: string): { readonly complete: readonly string[]; readonly partial: string } {
  const lines = text.split('\n');
  const partial = lines.pop() ?? '';
  return { complete: lines.map((line) => line.replace(/\r$/, '')), partial };
}
