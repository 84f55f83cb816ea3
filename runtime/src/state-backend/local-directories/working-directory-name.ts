import { createHash } from 'node:crypto';
import { type FencingToken, formatFencingToken } from '../../core/fencing-token.ts';

/**
 * What a subtask's directory is called: readable for people, and different for every lineage, execution attempt, operator and subtask.
 */
export function workingDirectoryName(options: {
  /** `namespace/name`. */
  readonly lineage: string;
  readonly token: FencingToken;
  readonly operatorUid: string;
  readonly subtaskIndex: number;
}): string {
  const { lineage, token, operatorUid, subtaskIndex } = options;
  // Readable forms may be shortened and may coincide; the hash keeps them apart.
  const hash = createHash('sha256')
    .update(JSON.stringify([lineage, operatorUid]))
    .digest('hex')
    .slice(0, 12);
  return `${readable(lineage)}-${formatFencingToken(token)}-${readable(operatorUid)}-${subtaskIndex}-${hash}`;
}

const readableLengthMax = 40;

function readable(text: string): string {
  return text
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, readableLengthMax)
    .replace(/^-|-$/g, '');
}
