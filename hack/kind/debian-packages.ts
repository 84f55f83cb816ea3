import { readFileSync } from 'node:fs';
import { attempt, KindError, run, say } from './command.ts';

const installTimeoutMs = 10 * 60_000;

/** Installs those of `packages` whose command is missing. `packages` maps a command to the package that holds it. */
export async function ensureCommands(packages: Readonly<Record<string, string>>): Promise<void> {
  const missing = new Set<string>();
  for (const [command, name] of Object.entries(packages)) {
    const { code } = await attempt('sh', ['-c', 'command -v "$1"', 'sh', command]);
    if (code !== 0) {
      missing.add(name);
    }
  }
  if (missing.size === 0) {
    return;
  }
  const list = [...missing].join(' ');
  if (process.getuid?.() !== 0 || !isDebian()) {
    throw new KindError(
      `not installed: ${list}. As root on Debian 12 this installs them itself; here, install them and try again.`,
    );
  }
  say(`installing with apt-get: ${list}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-q'], { env, timeoutMs: installTimeoutMs, progress: 'apt-get update' });
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], {
    env,
    timeoutMs: installTimeoutMs,
    progress: 'apt-get install',
  });
}

function isDebian(): boolean {
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}
