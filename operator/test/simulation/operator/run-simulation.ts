import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

/**
 * `npm run simulate:operator -- ARGS` in a process of its own: the test runner follows every promise of the process it runs in, which costs a simulation, made
 * of promises, many times its own time. Returns the exit code and what was printed.
 */
export async function runSimulation(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const { code, stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args], { maxBuffer: 2 ** 26 }).then(
    (printed) => ({ code: 0, ...printed }),
    (error: { readonly code?: number | string; readonly stdout?: string; readonly stderr?: string }) => ({
      ...{ code: typeof error.code === 'number' ? error.code : 1, stdout: error.stdout ?? '', stderr: error.stderr ?? '' },
    }),
  );
  return { code, lines: `${stdout}${stderr}`.trimEnd().split('\n') };
}
