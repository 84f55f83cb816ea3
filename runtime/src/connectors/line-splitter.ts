import { JobError } from '../core/job-error.ts';

/** Longer lines are refused by name instead of filling the memory: such input is not lines of text. */
const lineSizeBytesMax = 16 * 1024 * 1024;

const newline = 0x0a;
const carriageReturn = 0x0d;

/**
 * Bytes to lines. It cuts at line feeds before it decodes, so a character whose bytes come in two chunks stays whole. A carriage
 * return before the line feed belongs to the line's end.
 */
export class LineSplitter {
  readonly #origin: string;
  #parts: Buffer[] = [];
  #partsSizeBytes = 0;

  /** `origin` is named in errors. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** Calls `onLine` for each line that is complete now; `sizeBytes` includes the line's end. */
  push(chunk: Buffer, onLine: (line: string, sizeBytes: number) => void): void {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const last = chunk.subarray(start, end);
      const line = this.#partsSizeBytes === 0 ? last : Buffer.concat([...this.#parts, last]);
      this.#parts = [];
      this.#partsSizeBytes = 0;
      onLine(decode(line), line.length + 1);
      start = end + 1;
    }
    if (start < chunk.length) {
      this.#parts.push(Buffer.from(chunk.subarray(start)));
      this.#partsSizeBytes += chunk.length - start;
      if (this.#partsSizeBytes > lineSizeBytesMax) {
        throw new JobError(`${this.#origin}: a line is longer than ${lineSizeBytesMax} bytes`, {
          domain: 'user',
          retry: 'never',
          code: 'LineTooLong',
          remedy: 'Is this really text in lines?',
        });
      }
    }
  }

  /** The input ended: what is left is the last line, without a line feed. */
  end(onLine: (line: string, sizeBytes: number) => void): void {
    if (this.#partsSizeBytes > 0) {
      const line = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#partsSizeBytes = 0;
      onLine(decode(line), line.length);
    }
  }
}

function decode(line: Buffer): string {
  const end = line.length > 0 && line[line.length - 1] === carriageReturn ? line.length - 1 : line.length;
  return line.toString('utf8', 0, end);
}
