import { parseArgs } from 'node:util';
import { exitCodes } from '../api/process-config.ts';
import { JobError } from '../core/job-error.ts';
import { authorizeAnyRestCall } from '../credentials/rest-authorization.ts';
import { openCredentials } from './open-credentials.ts';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * `token --credentials FILE`: the header by which one request of a person to the JobManager's REST is authorised, for a minute. Run where the keys are: in a pod of the
 * job, or beside a work directory.
 */
export async function tokenCommand(argv: readonly string[]): Promise<number> {
  parse(argv);
  const credentials = openCredentials('Tool', argv, silent);
  if (credentials === undefined) {
    throw badArguments('--credentials FILE is missing');
  }
  process.stdout.write(`authorization: ${authorizeAnyRestCall(credentials)}\n`);
  return exitCodes.ok;
}

function parse(argv: readonly string[]): void {
  try {
    parseArgs({ args: [...argv], options: { credentials: { type: 'string' } } });
  } catch (error) {
    throw badArguments(error instanceof Error ? error.message : String(error));
  }
}

function badArguments(message: string): JobError {
  return new JobError(message, {
    ...{ domain: 'user', retry: 'never', code: 'BadArguments' },
    remedy: 'Use: token --credentials FILE, and curl --header "$(…)".',
  });
}
