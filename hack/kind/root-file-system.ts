import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { KindError, run } from './command.ts';
import { ensureCommands } from './debian-packages.ts';

/** systemd 252: the last Debian whose systemd takes cgroup v1 as it is; 256 has to be forced, and 258 knows only v2. */
export const debianRelease = 'bookworm';

const timeoutMs = 30 * 60_000;
/** What no container reads: half of the size. */
const unread = [
  'var/cache/apt',
  'var/lib/apt/lists',
  'var/log',
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
];

/** A minimal Debian with `packages` in `directory`, from Debian's package mirror; no image registry takes part. */
export async function makeRootFileSystem(directory: string, packages: readonly string[]): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new KindError('debootstrap makes device files and changes its root: run this as root');
  }
  await ensureCommands({ debootstrap: 'debootstrap' });
  const include = packages.length > 0 ? [`--include=${packages.join(',')}`] : [];
  await run('debootstrap', ['--variant=minbase', ...include, debianRelease, directory], { timeoutMs, progress: 'debootstrap' });
  for (const name of unread) {
    for (const entry of readdirSync(join(directory, name))) {
      rmSync(join(directory, name, entry), { recursive: true });
    }
  }
}
