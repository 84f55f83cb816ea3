import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { resultFileSizeBytesMax } from '../api/process-config.ts';
import { JobError } from '../core/job-error.ts';

/**
 * Writes the answer to `--result-file`, if there is one: the termination message of a container, from which a platform reads it without
 * being allowed to read logs. That keeps 4 KiB; `shorter` gives, one after the other, what may be left out of an answer that is larger.
 */
export async function writeResultFile<Result>(
  argv: readonly string[],
  result: Result,
  shorter: readonly ((result: Result) => Result)[],
): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { 'result-file': { type: 'string' } }, strict: false });
  const path = values['result-file'];
  if (typeof path !== 'string') {
    return;
  }
  await writeFile(path, fitting(result, shorter));
}

function fitting<Result>(result: Result, shorter: readonly ((result: Result) => Result)[]): string {
  let current = result;
  for (const shorten of [...shorter, undefined]) {
    const text = JSON.stringify(current);
    if (Buffer.byteLength(text) <= resultFileSizeBytesMax) {
      return text;
    }
    current = shorten?.(current) ?? current;
  }
  throw new JobError(`the answer does not fit into the ${resultFileSizeBytesMax} bytes of a result file`, {
    domain: 'internal',
    retry: 'never',
    code: 'ResultTooLarge',
  });
}
