import type { StateImplementation } from '../core/job-graph/executable-job.ts';
import { keyGroupOf } from '../core/key-groups/key-group.ts';
import { BinaryWriter } from '../core/types/binary-writer.ts';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import type { EncodedKey, KeyedStateBackendOptions } from './state-backend.ts';

export const maxParallelism = 128;

const visitType: Type<unknown> = t.struct({ page: t.string, tags: t.array(t.string) });

const states: readonly StateImplementation[] = [
  valueState('count', t.int),
  valueState('visit', visitType),
  listState('words', t.string),
  listState('visits', visitType),
  mapState('byName', t.string, t.double),
  mapState('byVisit', visitType, visitType),
];

export const conformanceOptions: KeyedStateBackendOptions = {
  keyType: t.string,
  states,
  maxParallelism,
  keyGroups: { first: 0, last: maxParallelism - 1 },
  timers: true,
  sizeBytesMax: 64 * 1024 * 1024,
};

export function encodeKey(type: Type<unknown>, key: unknown): EncodedKey {
  const writer = new BinaryWriter();
  type.encode(key, writer);
  const bytes = writer.toBytes();
  return { key, bytes, keyGroup: keyGroupOf(bytes, maxParallelism) };
}

export function valueState(name: string, type: Type<unknown>): StateImplementation {
  return {
    declaration: { name, stateType: 'value', valueType: type.descriptor },
    valueType: type,
    mapKeyType: undefined,
  };
}

export function listState(name: string, type: Type<unknown>): StateImplementation {
  return {
    declaration: { name, stateType: 'list', elementType: type.descriptor },
    valueType: type,
    mapKeyType: undefined,
  };
}

function mapState(name: string, keyType: Type<unknown>, type: Type<unknown>): StateImplementation {
  return {
    declaration: { name, stateType: 'map', mapKeyType: keyType.descriptor, valueType: type.descriptor },
    valueType: type,
    mapKeyType: keyType,
  };
}
