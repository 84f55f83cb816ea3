import path from 'node:path';
import { parseArgs } from 'node:util';
import { JobError } from '@flinkjob/runtime/rest';
import { z } from 'zod';

/** How `flinkjob-operator` is started. Read once; nothing looks at the environment later. */
const Config = z.strictObject({
  /** Everything that the process platform keeps but checkpoint storage. */
  workDirectory: z.string().min(1),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type Config = Readonly<z.infer<typeof Config>>;

const usage = 'flinkjob-operator --work-dir DIR [--log-level debug|info|warn|error]';

export function readConfig(args: readonly string[]): Config {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { 'work-dir': { type: 'string' }, 'log-level': { type: 'string' } },
    });
    const config = Config.parse({
      workDirectory: values['work-dir'],
      ...(values['log-level'] === undefined ? {} : { logLevel: values['log-level'] }),
    });
    return Object.freeze({ ...config, workDirectory: path.resolve(config.workDirectory) });
  } catch (cause) {
    throw new JobError(`the arguments cannot be used: ${args.join(' ')}`, {
      domain: 'user',
      retry: 'never',
      code: 'InvalidArguments',
      remedy: `Usage: ${usage}`,
      cause,
    });
  }
}
