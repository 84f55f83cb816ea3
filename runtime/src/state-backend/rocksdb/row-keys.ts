import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { Cell } from './cell.ts';
import type { KeyCodec } from './key-codec.ts';
import { writeKeyGroup, writeStateId } from './key-layout.ts';

/** The part of a row's key that a cell stands for. */
export class RowKeys {
  readonly keys: KeyCodec;
  /** Undefined when the operator has no namespaces. */
  readonly namespaces: KeyCodec | undefined;

  constructor(keys: KeyCodec, namespaces: KeyCodec | undefined) {
    this.keys = keys;
    this.namespaces = namespaces;
  }

  /** All that the rows of a state in this cell begin with; of a state with one row the whole key. */
  writeRow(writer: BinaryWriter, cell: Cell, stateId: number): void {
    const { parent } = cell;
    writeKeyGroup(writer, cell.keyGroup);
    this.keys.write((parent ?? cell).identity, writer);
    writeStateId(writer, stateId);
    if (parent !== undefined) {
      (this.namespaces as KeyCodec).write(cell.identity, writer);
    }
  }

  /** What a timer's row ends with: the key, and the namespace of a cell that has one. */
  writeScope(writer: BinaryWriter, cell: Cell): void {
    const { parent } = cell;
    this.keys.write((parent ?? cell).identity, writer);
    if (parent !== undefined) {
      (this.namespaces as KeyCodec).write(cell.identity, writer);
    }
  }
}
