import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { createServer } from 'node:net';
import { KindError } from './command.ts';

/**
 * One process at a time works on what is in `directory`: two that make a cluster at once would each remove what the other has begun. The lock is a name that the
 * kernel gives to one process (a socket in Linux's abstract namespace) and takes back when that process is gone, however it ended: nothing stays behind. Throws
 * `KindError` when another process has it.
 */
export async function lockDirectory(directory: string): Promise<void> {
  const name = createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 16);
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const message = `another kind:up, kind:down, kind:load or test:kind is at work in ${directory}: wait until it has ended`;
      reject(error.code === 'EADDRINUSE' ? new KindError(message) : error);
    });
    server.listen(`\0flinkjob-kind-${name}`, resolve);
  });
  // It is held until the process ends, and does not keep it from ending.
  server.unref();
}
