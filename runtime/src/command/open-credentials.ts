import { parseArgs } from 'node:util';
import { Credentials } from '../credentials/credentials.ts';
import { openKeyFile } from '../credentials/key-file.ts';
import { refusalLog } from '../credentials/refusal-log.ts';
import type { Role } from '../credentials/token.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../system-clock.ts';

/**
 * Those of `--credentials FILE`. An option and no field of the configuration: an older runtime refuses a field that it does not know and passes over an option, so
 * one controller can start both. Throws `CredentialsUnreadable`.
 */
export function openCredentials(role: Role, argv: readonly string[], log: Log): Credentials | undefined {
  const { values } = parseArgs({ args: [...argv], options: { credentials: { type: 'string' } }, strict: false });
  if (typeof values.credentials !== 'string') {
    log.info({}, 'started without credentials: whoever reaches the ports of this process may do as a part of the job does');
    return undefined;
  }
  const keys = openKeyFile(values.credentials, { log, monotonicMs: () => systemClock.monotonicMs() });
  return new Credentials({ role, keys, nowMs: Date.now, onRefused: refusalLog(log, () => systemClock.monotonicMs()) });
}
