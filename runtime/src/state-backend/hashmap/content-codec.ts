import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import type { BinaryReader } from '../../core/types/binary-reader.ts';
import type { BinaryWriter } from '../../core/types/binary-writer.ts';
import type { WrittenValues } from '../../core/types/convert-value.ts';
import { deathMsOf, isDead } from '../time-to-live.ts';
import { deathOverheadBytes } from './size-account.ts';
import { createStoredValueCodec } from './stored-value.ts';
import { readWrittenValue } from './written-value.ts';

/**
 * What a slot or an entry of a map holds: a stored value, with its time of death where the state has a time to live. Contents are
 * replaced, never changed, because a snapshot may hold them. None is undefined.
 */
export interface ContentCodec {
  /** Whether contents die; if not, `isDead` and `renew` need not be asked. */
  readonly isMortal: boolean;
  /** Throws, and keeps nothing, when the value is not of the type. */
  create(value: unknown): unknown;
  load(content: unknown): unknown;
  isDead(content: unknown): boolean;
  /** What a read makes of it: itself, or with its full time to live. */
  renew(content: unknown): unknown;
  sizeBytes(content: unknown): number;
  /** All contents have the same size. */
  readonly hasOneSize: boolean;
  write(content: unknown, writer: BinaryWriter): void;
  /** `written`: where values have another type than now. */
  read(reader: BinaryReader, written: WrittenValues | undefined): unknown;
}

interface MortalValue {
  readonly stored: unknown;
  readonly deathMs: number;
}

export function createContentCodec({ valueType, declaration }: StateImplementation, nowMs: () => number): ContentCodec {
  const values = createStoredValueCodec(valueType);
  const { ttl } = declaration;
  const readStored = (reader: BinaryReader, written: WrittenValues | undefined): unknown =>
    written === undefined ? values.read(reader) : values.store(readWrittenValue(reader, written));
  if (ttl === undefined) {
    return {
      ...values,
      create: values.store,
      read: readStored,
      isMortal: false,
      isDead: () => false,
      renew: (content) => content,
    };
  }
  const renewsOnRead = ttl.renewedBy === 'ReadAndWrite';
  return {
    isMortal: true,
    hasOneSize: values.hasOneSize,
    create: (value): MortalValue => ({ stored: values.store(value), deathMs: deathMsOf(ttl, nowMs()) }),
    load: (content) => values.load((content as MortalValue).stored),
    isDead: (content) => isDead((content as MortalValue).deathMs, nowMs()),
    renew(content) {
      const mortal = content as MortalValue;
      const deathMs = renewsOnRead ? deathMsOf(ttl, nowMs()) : mortal.deathMs;
      return deathMs === mortal.deathMs ? mortal : { stored: mortal.stored, deathMs };
    },
    sizeBytes: (content) => deathOverheadBytes + values.sizeBytes((content as MortalValue).stored),
    write(content, writer) {
      const { stored, deathMs } = content as MortalValue;
      writer.writeZigzag(deathMs);
      values.write(stored, writer);
    },
    read(reader, written): MortalValue {
      const deathMs = reader.readZigzag();
      return { stored: readStored(reader, written), deathMs };
    },
  };
}
