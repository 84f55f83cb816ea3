import { JobError } from '../job-error.ts';
import type { CheckpointManifest, OperatorState } from './manifest.ts';

/** The newest format that this code writes; it reads every older one. */
const newestFormat = 2;

/**
 * The lowest format whose readers know everything that is in there: one that does not must refuse the checkpoint instead of leaving something out. 2 came with
 * operator state of functions.
 */
export function manifestFormatOf(operators: readonly OperatorState[]): CheckpointManifest['format'] {
  return operators.some(({ operatorLists }) => operatorLists !== undefined) ? 2 : 1;
}

export function encodeManifest(manifest: CheckpointManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest)}\n`);
}

/**
 * `path` is where the bytes were found; errors name it. The caller has compared length and hash with the lineage, so what remains to be
 * found here is a newer format, or a file that was corrupt before it was recorded.
 */
export function parseManifest(bytes: Uint8Array, path: string): CheckpointManifest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corruptManifest(path, 'it is not JSON', cause);
  }
  const { format, operators } = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  if (typeof format === 'number' && format > newestFormat) {
    throw new JobError(`checkpoint manifest ${path} has format ${format}; this runtime reads formats up to ${newestFormat}`, {
      domain: 'external',
      retry: 'never',
      code: 'ManifestFormatTooNew',
      remedy: 'Use the runtime release that wrote it, or a newer one.',
    });
  }
  if ((format !== 1 && format !== newestFormat) || !Array.isArray(operators)) {
    throw corruptManifest(path, 'it is no manifest');
  }
  return json as CheckpointManifest;
}

function corruptManifest(path: string, problem: string, cause?: unknown): JobError {
  return new JobError(`checkpoint manifest ${path} is corrupt: ${problem}`, {
    domain: 'external',
    retry: 'never',
    code: 'ManifestCorrupt',
    remedy:
      'Bring the file back from a backup, or choose another checkpoint in words with restore.from: Path (`flinkjob lineage DIR` lists them).',
    cause,
  });
}
