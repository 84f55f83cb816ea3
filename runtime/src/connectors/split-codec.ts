import type { SplitState } from '../core/checkpoint/manifest.ts';
import type { Split } from '../core/job-graph/source.ts';
import { BinaryReader } from '../core/types/binary-reader.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import type { Type } from '../core/types/type.ts';

/** A split as checkpoints and messages hold it. */
export function encodeSplit({ id, position }: Split<unknown>, positionType: Type<unknown>): SplitState {
  const writer = new BinaryWriter();
  positionType.encode(position, writer);
  return { splitId: id, positionBase64: Buffer.from(writer.toBytes()).toString('base64') };
}

export function decodeSplit({ splitId, positionBase64 }: SplitState, positionType: Type<unknown>): Split<unknown> {
  return { id: splitId, position: positionType.decode(new BinaryReader(Buffer.from(positionBase64, 'base64'))) };
}
