import type { Type } from '../core/types/type.ts';
import { checkType } from './state.ts';

/** By tag: the types of records that a function emits with `ctx.emitTo`. */
export type SideOutputDefinitions = Readonly<Record<string, Type<unknown>>>;

/** By tag: the records themselves. */
export type SideOutputRecords = Readonly<Record<string, unknown>>;

export type NoSideOutputs = Readonly<Record<never, never>>;

/** The records that go with the definitions. */
export type RecordsOf<O extends SideOutputDefinitions> = {
  readonly [Tag in keyof O]: O[Tag] extends Type<infer T> ? T : never;
};

export function checkSideOutputs(sideOutputs: SideOutputDefinitions | undefined, where: string): SideOutputDefinitions {
  for (const [tag, type] of Object.entries(sideOutputs ?? {})) {
    checkType(type, `the side output "${tag}" of ${where}`);
  }
  return sideOutputs ?? {};
}
