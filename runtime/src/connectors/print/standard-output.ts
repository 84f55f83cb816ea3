import { writeSync } from 'node:fs';

const standardOutput = 1;

/**
 * Writes past the stream that a thread has for standard output: that one hands the text to the main thread, where a killed process
 * would lose it although a checkpoint already counts it as printed.
 */
export function writeStandardOutput(text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(standardOutput, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
        throw error;
      }
      // The pipe is full and not blocking: whoever reads it sets the pace.
      Atomics.wait(sleeper, 0, 0, fullPipeWaitMs);
    }
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
const fullPipeWaitMs = 2;
