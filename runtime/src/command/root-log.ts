import pino from 'pino';
import type { Log } from '../log.ts';

/**
 * The root logger of a runtime process: JSON lines on standard error, because standard output belongs to the job (the print sink). It
 * writes synchronously: the last line before a crash is the one that matters.
 */
export function createRootLog(fields: object): Log {
  return pino(
    { base: { pid: process.pid, ...fields }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
}
