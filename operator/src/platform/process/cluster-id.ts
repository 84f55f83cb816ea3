import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';

/**
 * Who owns the lineages that are written from this machine. It comes from the machine and not from the work directory, so that deleting
 * the work directory loses nothing.
 */
export async function machineClusterId(): Promise<string> {
  const machineId = await readFirst(['/etc/machine-id', '/var/lib/dbus/machine-id']);
  const source = machineId ?? `${hostname()} ${userInfo().username}`;
  return `machine-${createHash('sha256').update(`flinkjob ${source}`).digest('hex').slice(0, 12)}`;
}

async function readFirst(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.trim() !== '') {
      return text.trim();
    }
  }
  return undefined;
}
