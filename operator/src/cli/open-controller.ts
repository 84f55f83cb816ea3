import { mkdir } from 'node:fs/promises';
import { pino } from 'pino';
import { type LocalOperator, openLocalOperator } from '../local-operator.ts';
import type { WorkDirectory } from './work-directory.ts';

/** The controller of a work directory, which logs there. Refused while another process is its controller. */
export async function openController(workDirectory: WorkDirectory): Promise<LocalOperator> {
  await mkdir(workDirectory.root, { recursive: true });
  const log = pino({ level: 'info' }, pino.destination({ dest: workDirectory.operatorLog, append: true, sync: true }));
  return openLocalOperator({ workDirectory: workDirectory.root, log });
}
